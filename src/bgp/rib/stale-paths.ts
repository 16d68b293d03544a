import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Negotiated } from "../peer/peer.ts";
import { wellKnown } from "../policy/well-known.ts";
import type { PathAttributes } from "../wire/message.ts";

/**
 * Graceful restart as the helper (RFC 4724 section 4.2), and the long-lived one after it (RFC 9494
 * section 4.2): which routes of a peer outlive its session.
 *
 * Differs from RFC 4724 section 4.2 in one point: routes that are still stale when the peer restarts
 * again are kept, not deleted. A node whose agent dies twice in ten seconds still forwards, and to
 * delete its routes cuts off its pods. Each session that comes up bounds them anew by a timer.
 */

/** Families whose routes are kept as stale when the session is lost. */
export function keptOnLoss(negotiated: Negotiated, graceful: boolean): readonly IpFamily[] {
  if (!graceful || negotiated.gracefulRestart === undefined) return [];
  const { families } = negotiated.gracefulRestart;
  return negotiated.families.filter(
    (family) => families.includes(family) || longLivedSeconds(negotiated, family) > 0,
  );
}

/** Families whose stale routes go at once when the peer is back: it lost its forwarding state. */
export function lostByRestart(negotiated: Negotiated): readonly IpFamily[] {
  const kept = negotiated.gracefulRestart?.forwardingKept ?? [];
  return negotiated.families.filter((family) => !kept.includes(family));
}

/** The same for routes that are stale for long already (RFC 9494 section 4.2). */
export function lostByLongRestart(negotiated: Negotiated, family: IpFamily): boolean {
  if (!negotiated.families.includes(family)) return true;
  return longLivedOf(negotiated, family)?.forwarding !== true;
}

/** Seconds after which what is still stale goes: without a session, or without End-of-RIB. */
export function staleSeconds(negotiated: Negotiated, configuredSeconds: number): number {
  const told = negotiated.gracefulRestart?.restartSeconds ?? 0;
  return told > 0 ? told : configuredSeconds;
}

/**
 * Seconds until the routes of a lost session are long-lived or gone. A Restart Time of 0 is one when
 * the long-lived time follows it, else it says nothing.
 */
export function restartSeconds(negotiated: Negotiated, configuredSeconds: number): number {
  const told = negotiated.gracefulRestart?.restartSeconds ?? 0;
  const isFollowed = negotiated.families.some((family) => longLivedSeconds(negotiated, family) > 0);
  return told === 0 && isFollowed ? 0 : staleSeconds(negotiated, configuredSeconds);
}

/** The peer's Long-lived Stale Time of a family; 0: its routes are not kept for so long. */
export function longLivedSeconds(negotiated: Negotiated, family: IpFamily): number {
  return longLivedOf(negotiated, family)?.staleSeconds ?? 0;
}

/** True when a peer may be told routes that are stale for long (RFC 9494 section 4.3). */
export function speaksLongLived(negotiated: Negotiated | undefined): boolean {
  const remote = negotiated?.capabilities?.remote ?? [];
  return (
    negotiated?.longLivedGracefulRestart !== undefined ||
    remote.some(({ kind }) => kind === "longLivedGracefulRestart")
  );
}

/** Attributes of a route that is stale for long; undefined: it must not be kept (NO_LLGR). */
export function longLivedStale(attributes: PathAttributes): PathAttributes | undefined {
  const { communities = [] } = attributes;
  if (communities.includes(wellKnown.noLlgr)) return undefined;
  if (communities.includes(wellKnown.llgrStale)) return attributes;
  return { ...attributes, communities: [...communities, wellKnown.llgrStale] };
}

function longLivedOf({ longLivedGracefulRestart = [] }: Negotiated, family: IpFamily) {
  return longLivedGracefulRestart.find((each) => each.family === family);
}
