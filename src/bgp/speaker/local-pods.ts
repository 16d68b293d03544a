import { workloadInterfacePrefix } from "../../kernel/ownership.ts";
import { isHostPrefix, type Prefix } from "../../lib/prefix.ts";
import { borrowed } from "../config/originate.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import type { NextHopSource } from "../rib/next-hop.ts";

/** Addresses of pods of this node, as the kernel's routes to them tell. */
export function localPods({
  routes,
  interfaceNames = new Map(),
}: NextHopSource): ReadonlySet<Prefix> {
  const pods = routes.filter(
    ({ kind, destination, gateway, ifindex = 0 }) =>
      kind === "unicast" &&
      gateway === undefined &&
      isHostPrefix(destination) &&
      interfaceNames.get(ifindex)?.startsWith(workloadInterfacePrefix) === true,
  );
  return new Set(pods.map(({ destination }) => destination));
}

/**
 * Those of some pods that lie in blocks of other nodes: each is announced for itself (facts 5.17, steps 7
 * and 10).
 */
export function borrowedPods(
  pods: ReadonlySet<Prefix>,
  { originated, pools }: SpeakerConfig,
): Prefix[] {
  const blocks = originated.filter((prefix) => !isHostPrefix(prefix));
  return borrowed(pods, { blocks, pools }).sort();
}
