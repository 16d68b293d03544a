import type { Prefix } from "../../lib/prefix.ts";
import type { SpeakerConfig } from "../config/speaker-config.ts";
import type { FibEntry } from "../fib/fib-sync.ts";
import type { PeerConfig, PeerEvent } from "../peer/peer.ts";
import type { NextHops } from "../rib/next-hop.ts";
import type { LimitReport } from "./prefix-limits.ts";

/** Everything that can happen to a speaker. */
export type SpeakerEvent =
  | { readonly kind: "configured"; readonly config: SpeakerConfig }
  | { readonly kind: "nextHops"; readonly nextHops: NextHops }
  | { readonly kind: "peer"; readonly event: PeerEvent }
  /** Somebody has taken a peer down, whether it had a session or not: its routes go at once. */
  | { readonly kind: "shutDown"; readonly name: string }
  /** `send` gave false: the peer's queue is full until its event "drained". */
  | { readonly kind: "blocked"; readonly name: string }
  | { readonly kind: "timerExpired"; readonly timer: SpeakerTimer }
  /** This start may be a restart: peers may still use what an earlier run has told them. First of all. */
  | { readonly kind: "restarted" }
  /** Answer to "flushSoon". */
  | { readonly kind: "flush" };

/**
 * "convergence": longest wait for the routes of peers that may be down. "stale NAME": stale routes of
 * a peer go, or become long-lived. "longLived NAME FAMILY": those go too. "settle NAME": a peer that
 * sends no End-of-RIB has told all that it has. "restart NAME": a peer that told too much may come
 * back. "retire": sessions that others were to replace end whatever those have told.
 */
export type SpeakerTimer =
  | "convergence"
  | "retire"
  | `stale ${string}`
  | `longLived ${string}`
  | `settle ${string}`
  | `restart ${string}`;

/** Everything a speaker may ask of the world, to be done in order. */
export type SpeakerEffect =
  | { readonly kind: "configurePeers"; readonly peers: readonly PeerConfig[] }
  /** The same buffer may be in many effects. */
  | { readonly kind: "send"; readonly name: string; readonly bytes: Uint8Array }
  /** Routes that the kernel is to have now; undefined: none of ours to this prefix. */
  | { readonly kind: "setRoutes"; readonly routes: ReadonlyMap<Prefix, FibEntry> }
  /** The RIB is complete: routes of an earlier run that are not in it may go. */
  | { readonly kind: "converged" }
  /** Ends a session by Cease with this subcode (RFC 4486). */
  | { readonly kind: "resetPeer"; readonly name: string; readonly subcode: number }
  /** Keeps a peer down, with the reason in words; absent: not any more. */
  | { readonly kind: "keepDown"; readonly name: string; readonly message?: string }
  /** To be logged: a peer tells more prefixes than it should. */
  | { readonly kind: "prefixLimit"; readonly report: LimitReport }
  /** Starts the timer anew. */
  | { readonly kind: "startTimer"; readonly timer: SpeakerTimer; readonly seconds: number }
  | { readonly kind: "stopTimer"; readonly timer: SpeakerTimer }
  /**
   * Wants the event "flush" soon; routes that arrive until then are one batch. `continues`: the rest of
   * something big, to be done in the next turn of the event loop.
   */
  | { readonly kind: "flushSoon"; readonly continues?: true };
