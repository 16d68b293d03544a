import type { OpenMessage } from "../wire/message.ts";
import type { FsmEffect } from "./events.ts";

export type FsmState = "Idle" | "Connect" | "Active" | "OpenSent" | "OpenConfirm" | "Established";

/** The session attributes of RFC 4271 section 8 that change. */
export interface Fsm {
  readonly state: FsmState;
  /** Why the last transition happened. */
  readonly reason: string;
  /** Connects in a row that came to nothing (ConnectRetryCounter). */
  readonly connectRetries: number;
  /** Failures that are not forgiven yet (DampPeerOscillations). */
  readonly failures: number;
  /** In Idle: the peer may come back before the idle hold time is over. */
  readonly admitsPeer: boolean;
  /** In Connect and Active: TCP is connected, the DelayOpenTimer runs. */
  readonly delaysOpen: boolean;
  /** The peer's OPEN and what follows from it, from OpenConfirm on. 0: no timer. */
  readonly open?: OpenMessage;
  readonly holdSeconds: number;
  readonly keepaliveSeconds: number;
}

export type Step = readonly [fsm: Fsm, effects: readonly FsmEffect[]];

export const initialFsm: Fsm = {
  state: "Idle",
  reason: "Not started",
  connectRetries: 0,
  failures: 0,
  admitsPeer: false,
  delaysOpen: false,
  holdSeconds: 0,
  keepaliveSeconds: 0,
};
