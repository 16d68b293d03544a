import assert from "node:assert/strict";
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
    return (state !== "Established" && words.test(reason)) || fail(`${state}: ${reason}`);
  });
  await lab.until("the end at the daemon", async () => {
    const state = await them.state(addresses.us[4]);
    return state !== "Established" || fail(state);
  });
  await lab.noPathHere(us, "10.66.0.0/26");
};

export const maxPrefixTheirs: Row = async (lab) => {
  const options = {
    daemon: { maxPrefixes: limit },
    speaker: { originate: [{ prefix: "10.65.0.0/26" }, { prefix: "10.65.0.64/26" }] },
  };
  const { us, them } = await lab.established(options);
  await lab.pathAt(them, "10.65.0.0/26");
  await lab.pathAt(them, "10.65.0.64/26");
  const originate = [...options.speaker.originate, { prefix: "10.65.0.128/26" }];
  await us.reload(speakerYaml({ ...options, speaker: { originate } }));
  const error = await lab.until("the daemon's NOTIFICATION", async () => {
    const { state, lastError } = await us.peer(toThem);
    return (words.test(lastError ?? "") && lastError) || fail(`${state}: ${lastError}`);
  });
  assert.match(error, words);
};
