import assert from "node:assert/strict";
import { addresses, speakerYaml, toThem } from "../lab.ts";
import type { TestSpeaker } from "../speaker.ts";
import type { Row } from "./row.ts";

const ours = "10.65.0.0/26";
const theirs = "10.66.0.0/26";
const originate = [{ prefix: ours }];
const routes = [{ prefix: theirs }];

/** Messages of one kind that our session counted so far. */
async function count(
  us: TestSpeaker,
  direction: "received" | "sent",
  kind: "update" | "routeRefresh" | "notification",
): Promise<number> {
  return (await us.peer(toThem)).counters?.[direction][kind] ?? 0;
}

export const refreshByUs: Row = async (lab) => {
  const { us, them } = await lab.established({ routes, speaker: { originate } });
  await lab.pathHere(us, theirs);
  const before = await count(us, "received", "update");
  await us.ask({ request: "refresh", name: toThem, direction: "in" });
  await lab.until(
    "the daemon's answer",
    async () => (await count(us, "received", "update")) > before,
  );
  assert.equal(await count(us, "sent", "routeRefresh"), 1);
  await lab.pathHere(us, theirs);
  assert.equal(await them.state(addresses.us[4]), "Established");
};

export const refreshByThem: Row = async (lab) => {
  const { us, them } = await lab.established({ routes, speaker: { originate } });
  await lab.pathAt(them, ours);
  const before = await count(us, "sent", "update");
  const { since } = await us.peer(toThem);
  await them.refresh(addresses.us[4]);
  await lab.until("the daemon's ROUTE-REFRESH", () => count(us, "received", "routeRefresh"));
  await lab.until("our answer", async () => (await count(us, "sent", "update")) > before);
  await lab.pathAt(them, ours);
  assert.equal((await us.peer(toThem)).since, since);
};

export const withdraw: Row = async (lab) => {
  const kept = "10.65.1.0/26";
  const options = {
    routes: [...routes, { prefix: "10.66.1.0/26" }],
    speaker: { originate: [...originate, { prefix: kept }] },
  };
  const { us, them } = await lab.established(options);
  await lab.pathAt(them, ours);
  await us.reload(speakerYaml({ ...options, speaker: { originate: [{ prefix: kept }] } }));
  await lab.noPathAt(them, ours);
  await lab.pathAt(them, kept);
  await lab.pathHere(us, theirs);
  await them.withdraw(theirs);
  await lab.noPathHere(us, theirs);
  await lab.pathHere(us, "10.66.1.0/26");
  await them.announce({ prefix: theirs });
  await lab.pathHere(us, theirs);
};

export const flap: Row = async (lab) => {
  const { us, them } = await lab.established({ routes, speaker: { originate } });
  await lab.pathAt(them, ours);
  await us.ask({ request: "shutdown", name: toThem, message: "out for a walk" });
  await lab.noPathAt(them, ours);
  assert.notEqual(await them.state(addresses.us[4]), "Established");
  await us.ask({ request: "start", name: toThem });
  await lab.waitEstablished(us, them);
  await lab.pathAt(them, ours);
  await lab.pathHere(us, theirs);
  const { since } = await us.peer(toThem);
  await them.reset(addresses.us[4]);
  await lab.until("another session", async () => {
    const peer = await us.peer(toThem);
    return peer.state === "Established" && peer.since !== since;
  });
  await lab.pathAt(them, ours);
  await lab.pathHere(us, theirs);
};

export const communities: Row = async (lab) => {
  const ofOurs = ["64512:1", "65535:65281", "4200000002:2:3", "64512:4:5"];
  const ofTheirs = ["64513:1", "64513:2", "4200000002:6:7", "64512:8:9"];
  const { us, them } = await lab.established({
    ibgp: true,
    routes: [{ prefix: theirs, communities: ofTheirs, localPref: 777 }],
    speaker: { originate: [{ prefix: ours, communities: ofOurs, localPref: 333 }] },
  });
  const there = await lab.pathAt(them, ours);
  assert.deepEqual(there.communities.map(wellKnown).sort(), ofOurs.toSorted());
  assert.equal(there.localPref, 333);
  const here = await lab.pathHere(us, theirs);
  assert.deepEqual(here.communities?.toSorted(), ofTheirs.toSorted());
  assert.equal(here.localPref, 777);
};

/** RFC 1997 gives it a name, which daemons print. */
function wellKnown(community: string): string {
  return /^no-?export$/i.test(community) ? "65535:65281" : community;
}
