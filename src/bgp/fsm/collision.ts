import type { Asn } from "../../lib/asn.ts";
import type { FsmState } from "./fsm.ts";

/** One of two connections between the same two speakers. */
export interface ConnectionSide {
  readonly state: FsmState;
  /** Who opened the TCP connection. */
  readonly initiator: "local" | "remote";
}

export interface SpeakerId {
  /** As an unsigned 32-bit number. */
  readonly routerId: number;
  readonly asn: Asn;
}

/**
 * Which of two connections is to be closed, now that a valid OPEN came on `newer` (RFC 4271 section
 * 6.8). Undefined: nothing can be said yet, the OPEN on `older` is still to come. Pure; both ends
 * come to the same answer.
 */
export function collisionLoser(
  older: ConnectionSide,
  newer: ConnectionSide,
  ids: { readonly local: SpeakerId; readonly peer: SpeakerId },
): "older" | "newer" | undefined {
  if (older.state === "Established") return "newer";
  if (older.state !== "OpenConfirm") return undefined;
  // The RFC has no word for this: the peer would not open a second one if it still had the first.
  if (older.initiator === newer.initiator) return "older";
  const kept = isHigher(ids.local, ids.peer) ? "local" : "remote";
  return older.initiator === kept ? "newer" : "older";
}

/** By router id, then by AS (RFC 6286 section 2.3). */
function isHigher(a: SpeakerId, b: SpeakerId): boolean {
  return a.routerId === b.routerId ? a.asn > b.asn : a.routerId > b.routerId;
}
