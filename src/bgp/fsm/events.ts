import type { Asn } from "../../lib/asn.ts";
import type { OpenMessage, RouteRefreshMessage, UpdateMessage } from "../wire/message.ts";
import type { NotificationBody } from "../wire/notification.ts";

/**
 * Timers of RFC 4271 section 8: ConnectRetryTimer, HoldTimer, KeepaliveTimer, DelayOpenTimer,
 * IdleHoldTimer, and of RFC 9687: SendHoldTimer, which the shell starts as it alone sees the queue.
 */
export type FsmTimer =
  | "connectRetry"
  | "hold"
  | "keepalive"
  | "delayOpen"
  | "idleHold"
  | "sendHold";

/** Everything that can happen to a session. Event numbers of RFC 4271 section 8.1 in brackets. */
export type FsmEvent =
  /** [1, 3, 6], or with `passive` [4, 5, 7]: waits for the peer, as it does when so configured. */
  | { readonly kind: "start"; readonly passive: boolean }
  /**
   * [2, 8] `quiet`: the TCP connection just ends, so that the peer keeps our routes (RFC 4724); one
   * that would not keep them is told nevertheless.
   */
  | ({ readonly kind: "stop"; readonly quiet: boolean } & CeaseReason)
  /** [8] As a stop, and it starts again by itself. */
  | ({ readonly kind: "reset" } & CeaseReason)
  /** [9, 10, 11, 12, 13, and 29 of RFC 9687] */
  | { readonly kind: "timerExpired"; readonly timer: FsmTimer }
  /** [16, 17] */
  | { readonly kind: "tcpConnected" }
  /** [18] */
  | { readonly kind: "tcpFailed"; readonly reason: string }
  /** [19, 20, or 22 when its values are not acceptable] */
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
  /** RFC 2918, RFC 7313 */
  | { readonly kind: "refreshReceived"; readonly refresh: RouteRefreshMessage }
  /** The peer opens a new connection although this one is Established (RFC 4724 section 5). */
  | { readonly kind: "replaced" };

export interface CeaseReason {
  /** RFC 4486. */
  readonly ceaseSubcode: number;
  /** For people at the other end (RFC 9003). */
  readonly message?: string;
}

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
  /** All but the IdleHoldTimer. */
  | { readonly kind: "stopTimers" }
  | { readonly kind: "established"; readonly open: OpenMessage }
  | { readonly kind: "deliver"; readonly update: UpdateMessage }
  | { readonly kind: "refresh"; readonly refresh: RouteRefreshMessage }
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
  /** DelayOpenTime; absent or 0: our OPEN goes out at once. */
  readonly delayOpenSeconds?: number;
  readonly families: readonly (4 | 6)[];
  /** Over 0: our OPEN has the graceful restart capability, with the N bit. */
  readonly gracefulRestartSeconds: number;
  /** Its text is of no interest here. */
  readonly password?: object;
}
