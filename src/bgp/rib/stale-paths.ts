import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Negotiated } from "../peer/peer.ts";

/**
 * Graceful restart as the helper (RFC 4724 section 4.2): which routes of a peer outlive its session.
 *
 * Differs from RFC 4724 section 4.2 in one point: routes that are still stale when the peer restarts
 * again are kept, not deleted. A node whose agent dies twice in ten seconds still forwards, and to
 * delete its routes cuts off its pods. Each session that comes up bounds them anew by a timer.
 */

/** Families whose routes are kept as stale when the session is lost. */
export function keptOnLoss(negotiated: Negotiated, graceful: boolean): readonly IpFamily[] {
  if (!graceful || negotiated.gracefulRestart === undefined) return [];
  const { families } = negotiated.gracefulRestart;
  return negotiated.families.filter((family) => families.includes(family));
}

/** Families whose stale routes go at once when the peer is back: it lost its forwarding state. */
export function lostByRestart(negotiated: Negotiated): readonly IpFamily[] {
  const kept = negotiated.gracefulRestart?.forwardingKept ?? [];
  return negotiated.families.filter((family) => !kept.includes(family));
}

/** Seconds after which what is still stale goes: without a session, or without End-of-RIB. */
export function staleSeconds(negotiated: Negotiated, configuredSeconds: number): number {
  const told = negotiated.gracefulRestart?.restartSeconds ?? 0;
  return told > 0 ? told : configuredSeconds;
}
