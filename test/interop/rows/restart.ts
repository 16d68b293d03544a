import assert from "node:assert/strict";
import { outputOf } from "../../support/daemons/daemon-process.ts";
import { addresses, fail, type Lab, type SessionOptions, speakerYaml, toThem } from "../lab.ts";
import type { Row } from "./row.ts";

const ours = { prefix: "10.65.0.0/26", host: "10.65.0.1" };
const theirs = { prefix: "10.66.0.0/26", host: "10.66.0.1" };
/** What the one who restarts no longer has. */
const [oursGone, theirsGone] = ["10.65.1.0/26", "10.66.1.0/26"];

const options: SessionOptions = {
  neighbor: { gracefulRestartSeconds: 120 },
  daemon: { gracefulRestart: true },
  speaker: {
    kernel: { install: true },
    originate: [{ prefix: ours.prefix }, { prefix: oursGone }],
  },
  routes: [{ prefix: theirs.prefix }, { prefix: theirsGone }],
};

export const weRestart: Row = async (lab) => {
  await addHosts(lab, lab.daemon.installsRoutes);
  const { us, them } = await lab.established(options);
  await lab.pathAt(them, ours.prefix);
  await lab.pathAt(them, oursGone);
  const packets = await startPackets(lab);
  await us.kill();
  await lab.until("the end of the session at the daemon", async () => {
    const state = await them.state(addresses.us[4]);
    return state !== "Established" || fail(state);
  });
  await lab.pathAt(them, ours.prefix);
  const speaker = { kernel: { install: true }, originate: [{ prefix: ours.prefix }] };
  await us.reload(speakerYaml({ ...options, speaker }));
  us.revive();
  await lab.waitEstablished(us, them);
  await lab.noPathAt(them, oursGone);
  const path = await lab.pathAt(them, ours.prefix);
  assert.equal(path.stale, false);
  await lab.pathHere(us, theirs.prefix);
  await packets.allArrived();
};

/**
 * We are killed for longer than our Restart Time, and again as soon as the session is back: before our
 * End-of-RIB, as a neighbor that is not there is waited for. Not in the matrix.
 */
export const weRestartTwice: Row = async (lab) => {
  const { us, them } = await startLongLived(lab);
  const packets = await startPackets(lab);
  for (let round = 0; round < 2; round++) {
    await us.kill();
    await lab.until("long-lived stale routes at the daemon", async () => {
      const { communities } = await lab.pathAt(them, ours.prefix);
      return communities.some(isLlgrStale) || fail(communities.join(" "));
    });
    us.revive();
    await lab.until("the session at the daemon", async () => {
      const state = await them.state(addresses.us[4]);
      return state === "Established" || fail(state);
    });
  }
  await lab.waitEstablished(us, them);
  await lab.until("a fresh path", async () => {
    const { communities } = await lab.pathAt(them, ours.prefix);
    return !communities.some(isLlgrStale) || fail(communities.join(" "));
  });
  await packets.allArrived();
};

async function startLongLived(lab: Lab): ReturnType<Lab["established"]> {
  await addHosts(lab, lab.daemon.installsRoutes);
  const started = await lab.established({
    ...options,
    neighbor: { gracefulRestartSeconds: 2, longLivedStaleSeconds: 3600 },
    neighbors: [{ address: "10.99.0.99", asn: 64999, gracefulRestartSeconds: 120 }],
    daemon: { gracefulRestart: true, longLived: true },
  });
  await lab.pathAt(started.them, ours.prefix);
  return started;
}

const isLlgrStale = (community: string) => /^(65535:6|llgr-?stale)$/i.test(community);

export const theyRestart: Row = async (lab) => {
  const { installsRoutes, restartLosesRoutes } = lab.daemon;
  await addHosts(lab, installsRoutes && restartLosesRoutes !== true);
  const { us, them } = await lab.established(options);
  await lab.pathHere(us, theirs.prefix);
  await lab.pathHere(us, theirsGone);
  const packets = await startPackets(lab);
  await them.kill();
  await lab.until("the end of the session here", async () => {
    const { state } = await us.peer(toThem);
    return state !== "Established" || fail(state);
  });
  assert.equal((await lab.pathHere(us, theirs.prefix)).stale, true);
  await them.revive([{ prefix: theirs.prefix }]);
  await lab.waitEstablished(us, them);
  await lab.noPathHere(us, theirsGone);
  await lab.until("a fresh path", async () => {
    const path = await lab.pathHere(us, theirs.prefix);
    return path.stale !== true;
  });
  await lab.pathAt(them, ours.prefix);
  await packets.allArrived();
};

/** A host behind each side. A route that the daemon does not keep in the kernel is put there for it. */
async function addHosts({ pair }: Lab, isKept: boolean): Promise<void> {
  await outputOf("ip", "-n", pair.a, "addr", "add", `${ours.host}/32`, "dev", "lo");
  await outputOf("ip", "-n", pair.b, "addr", "add", `${theirs.host}/32`, "dev", "lo");
  if (isKept) return;
  const route = [ours.prefix, "via", addresses.us[4], "metric", "1"];
  await outputOf("ip", "-n", pair.b, "route", "add", ...route);
}

/** Packets from host to host and back, 50 a second, from the moment when both routes are there. */
async function startPackets(lab: Lab): Promise<{ readonly allArrived: () => Promise<void> }> {
  const from = ["ip", "netns", "exec", lab.pair.a, "ping", "-n", "-I", ours.host] as const;
  const [program, ...words] = from;
  await lab.until("a packet there and back", () =>
    outputOf(program, ...words, "-c", "1", "-W", "1", theirs.host),
  );
  const routes = [lab.pair.a, lab.pair.b].map((namespace) =>
    lab.background(namespace, "ip", "-ts", "monitor", "route"),
  );
  const ping = lab.background(
    lab.pair.a,
    "ping",
    "-n",
    "-I",
    ours.host,
    "-D",
    "-i",
    "0.02",
    theirs.host,
  );
  const answered = () =>
    [...ping.output.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, seq]) => Number(seq));
  await lab.until("packets", () => answered().length >= 5);
  return {
    allArrived: async () => {
      const before = answered().length;
      await lab.until("more packets", () => answered().length >= before + 10);
      await ping.stop();
      const arrived = answered();
      const sent = arrived.at(-1) ?? 0;
      const missing = Array.from({ length: sent }, (_, i) => i + 1).filter(
        (seq) => !arrived.includes(seq),
      );
      const seen = await Promise.all(routes.map((monitor) => monitor.stop()));
      assert.deepEqual(missing, [], `packets are lost; routes changed:\n${seen.join("\n")}`);
    },
  };
}
