import type { SpeakerConfig } from "../config/speaker-config.ts";
import { installs } from "../fib/desired-routes.ts";
import type { NextHops } from "../rib/next-hop.ts";

/** What is asked of next hops. */
export type NextHopView = Pick<NextHops, "isOwn" | "resolve" | "interfaceOf">;

/**
 * Next hops as a configuration counts them: a speaker that installs nothing forwards nothing, so each
 * is as good as the other and all can be passed on.
 */
export function nextHopView(config: SpeakerConfig, nextHops: NextHops): NextHopView {
  if (installs(config)) return nextHops;
  return {
    isOwn: (address) => nextHops.isOwn(address),
    resolve: (gateway) => ({ gateway, ifindex: 0, igpCost: 0 }),
    interfaceOf: () => undefined,
  };
}
