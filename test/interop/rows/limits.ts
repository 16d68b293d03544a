import { addresses, fail, speakerYaml, toThem } from "../lab.ts";
import type { Row } from "./row.ts";

const limit = 2;
const words = /Maximum Number of Prefixes Reached/i;

export const maxPrefixOurs: Row = async (lab) => {
  const { us, them } = await lab.established({
    neighbor: { maxPrefixes: { "ipv4-unicast": { limit } } },
    routes: [{ prefix: "10.66.0.0/26" }, { prefix: "10.66.0.64/26" }],
  });
  await lab.pathHere(us, "10.66.0.0/26");
  await lab.pathHere(us, "10.66.0.64/26");
  await them.announce({ prefix: "10.66.0.128/26" });
  await lab.until("the end at our side", async () => {
    const { state, reason } = await us.peer(toThem);
    return (state === "Idle" && /max-prefix/.test(reason)) || fail(`${state}: ${reason}`);
  });
  await lab.until("the end at the daemon", async () => {
    const state = await them.state(addresses.us[4]);
    return state !== "Established" || fail(state);
  });
  await lab.noPathHere(us, "10.66.0.0/26");
};

/** FRR 8 counts a route when its next hop is looked up, and looks at the limit with the next UPDATE. */
export const maxPrefixTheirs: Row = async (lab) => {
  const original = [{ prefix: "10.65.0.0/26" }, { prefix: "10.65.0.64/26" }];
  const options = { daemon: { maxPrefixes: limit }, speaker: { originate: original } };
  const { us, them } = await lab.established(options);
  for (const { prefix } of original) await lab.pathAt(them, prefix);
  // In its log: the last error is soon that of the next try.
  const errorSeen = () => words.test(us.log);
  const originate = [...original];
  for (const prefix of ["10.65.0.128/26", "10.65.0.192/26"]) {
    originate.push({ prefix });
    await us.reload(speakerYaml({ ...options, speaker: { originate } }));
    await lab.until(`${prefix} at the daemon, or its NOTIFICATION`, async () => {
      return errorSeen() || (await them.learned(prefix)).length > 0;
    });
  }
  await lab.until("the daemon's NOTIFICATION", errorSeen);
};
