import { workloadInterfacePrefix } from "../../kernel/ownership.ts";
import { isHostPrefix, type Prefix } from "../../lib/prefix.ts";
import { borrowed } from "../config/originate.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import type { NextHopSource } from "../rib/next-hop.ts";

/**
 * Addresses of pods of this node that lie in blocks of other nodes, as the kernel's routes to the pods
 * tell: each is announced for itself (facts 5.17, steps 7 and 10).
 */
export function borrowedPods(
  { routes, interfaceNames = new Map() }: NextHopSource,
  { originated, pools }: SpeakerConfig,
): Prefix[] {
  if (pools.length === 0) return [];
  const pods = routes.filter(
    ({ kind, destination, gateway, ifindex = 0 }) =>
      kind === "unicast" &&
      gateway === undefined &&
      isHostPrefix(destination) &&
      interfaceNames.get(ifindex)?.startsWith(workloadInterfacePrefix) === true,
  );
  const blocks = originated.filter((prefix) => !isHostPrefix(prefix));
  return borrowed(new Set(pods.map(({ destination }) => destination)), { blocks, pools }).sort();
}
