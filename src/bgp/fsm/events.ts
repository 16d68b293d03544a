import type { Asn } from "../../lib/asn.ts";
import type { OpenMessage, UpdateMessage } from "../wire/message.ts";
import type { NotificationBody } from "../wire/notification.ts";

/** Timers of RFC 4271 section 8: ConnectRetryTimer, HoldTimer, KeepaliveTimer, IdleHoldTimer. */
export type FsmTimer = "connectRetry" | "hold" | "keepalive" | "idleHold";

/** Everything that can happen to a session. Event numbers of RFC 4271 section 8.1 in brackets. */
export type FsmEvent =
  /** [1, 3], or with `passive` [4, 5]: waits for the peer, as it does when so configured. */
  | { readonly kind: "start"; readonly passive: boolean }
  /** [2, 8] `quiet`: the TCP connection just ends, so that the peer keeps our routes (RFC 4724). */
  | { readonly kind: "stop"; readonly ceaseSubcode: number; readonly quiet: boolean }
  /** [9, 10, 11, 13] */
  | { readonly kind: "timerExpired"; readonly timer: FsmTimer }
  /** [16, 17] */
  | { readonly kind: "tcpConnected" }
  /** [18] */
  | { readonly kind: "tcpFailed"; readonly reason: string }
  /** [19, or 22 when its values are not acceptable] */
  | { readonly kind: "openReceived"; readonly open: OpenMessage }
  /** [21, 22, 28] Bytes that were no message, or a limit of ours that was passed. */
  | {
      readonly kind: "fault";
      readonly notification: NotificationBody;
      readonly reason: string;
    }
  /** [23] The other connection to the peer is kept. */
  | { readonly kind: "collisionLost" }
  /** [24, 25] */
  | { readonly kind: "notificationReceived"; readonly notification: NotificationBody }
  /** [26] */
  | { readonly kind: "keepaliveReceived" }
  /** [27] */
  | { readonly kind: "updateReceived"; readonly update: UpdateMessage }
  /** RFC 2918 */
  | { readonly kind: "refreshReceived"; readonly afi: number; readonly safi: number }
  /** The peer opens a new connection although this one is Established (RFC 4724 section 5). */
  | { readonly kind: "replaced" };

/** Everything a session may ask of the world. The shell performs them in order. */
export type FsmEffect =
  | { readonly kind: "connect" }
  | { readonly kind: "send"; readonly message: "open" | "keepalive" }
  | { readonly kind: "notify"; readonly notification: NotificationBody }
  /** What was sent before still goes out. */
  | { readonly kind: "closeTcp" }
  /** Starts the timer anew. */
  | { readonly kind: "startTimer"; readonly timer: FsmTimer; readonly seconds: number }
  | { readonly kind: "stopTimer"; readonly timer: FsmTimer }
  | { readonly kind: "established"; readonly open: OpenMessage }
  | { readonly kind: "deliver"; readonly update: UpdateMessage }
  | { readonly kind: "refresh"; readonly afi: number; readonly safi: number }
  /** The session was Established and is not any more. */
  | { readonly kind: "down"; readonly reason: string; readonly graceful: boolean };

/** What is configured for a session. */
export interface FsmConfig {
  readonly localAs: Asn;
  readonly remoteAs: Asn;
  readonly localRouterId: number;
  readonly passive: boolean;
  /** Offered hold time; 0 means no KEEPALIVEs and no hold timer. */
  readonly holdSeconds: number;
  /** Absent: a third of the negotiated hold time. */
  readonly keepaliveSeconds?: number;
  readonly connectRetrySeconds: number;
  readonly families: readonly (4 | 6)[];
}
