import type { FuzzTarget } from "./fuzz-target.ts";
import { messageTargets } from "./message-targets.ts";
import { packetTargets } from "./packet-targets.ts";
import { ribTargets } from "./rib-targets.ts";
import { textTargets } from "./text-targets.ts";

/** Every decoder of octets or text that others give us. */
export const fuzzTargets: readonly FuzzTarget[] = [
  ...messageTargets,
  ...packetTargets,
  ...ribTargets,
  ...textTargets,
];
