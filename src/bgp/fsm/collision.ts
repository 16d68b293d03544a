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

export interface SpeakerIds {
  readonly local: SpeakerId;
  readonly peer: SpeakerId;
}

/** Which of the two connections is to be closed; or this OPEN is to be answered later. */
export type CollisionVerdict = "older" | "newer" | "wait";

/**
 * What a valid OPEN on `newer` decides about two connections (RFC 4271 section 6.8), before it is
 * answered. Undefined: nothing yet, the OPEN on `older` is still to come. Pure.
 *
 * Differs from RFC 4271 section 6.8: where the older one goes on and the newer one has the better right,
 * the peer decides. It has our KEEPALIVE on the older one. If that came before our OPEN on the newer one,
 * the peer is Established and closes the newer one; if not, it closes the older one. Nobody but the peer
 * knows which, and if we closed the older one at once, both might be closed.
 */
export function decideCollision(
  older: ConnectionSide,
  newer: ConnectionSide,
  ids: SpeakerIds,
): CollisionVerdict | undefined {
  const { state } = older;
  if (state !== "OpenConfirm" && state !== "Established") return undefined;
  // The RFC has no word for this: the peer would not open a second one if it still had the first.
  if (older.initiator === newer.initiator) return state === "Established" ? "newer" : "older";
  return newer.initiator === preferredInitiator(ids) ? "wait" : "newer";
}

/** Whose connection is kept: of the higher router id, or AS when they are equal (RFC 6286 section 2.3). */
export function preferredInitiator({ local, peer }: SpeakerIds): "local" | "remote" {
  const isLocal =
    local.routerId === peer.routerId ? local.asn > peer.asn : local.routerId > peer.routerId;
  return isLocal ? "local" : "remote";
}
