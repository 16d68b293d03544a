import type { FsmConfig, FsmEffect, FsmTimer } from "./events.ts";
import type { Fsm } from "./fsm.ts";

/** "Large value" for the hold timer before the OPEN (RFC 4271 section 8.2.2, OpenSent). */
export const openHoldSeconds = 240;
/** Least SendHoldTime (RFC 9687 section 4). */
const leastSendHoldSeconds = 480;

const firstIdleHoldSeconds = 0.25;
const maxIdleHoldSeconds = 60;
const firstConnectRetrySeconds = 0.25;

/**
 * DampPeerOscillations (RFC 4271 section 8.1): seconds in Idle before the next try, after `failures`
 * that are not forgiven yet. Each doubles it; each keepalive interval Established forgives one.
 */
export function idleHoldSeconds(failures: number): number {
  return Math.min(firstIdleHoldSeconds * 2 ** Math.max(0, failures - 1), maxIdleHoldSeconds);
}

/**
 * ConnectRetryTime after `retries` connects in a row that came to nothing: a quarter of a second,
 * doubled each time, up to what is configured. All nodes of a cluster start within a second or so:
 * with the configured time at once, each would wait it out because of a neighbor that was a moment late.
 */
export function connectRetrySeconds(retries: number, config: FsmConfig): number {
  return Math.min(firstConnectRetrySeconds * 2 ** retries, config.connectRetrySeconds);
}

/** Of the negotiated hold time; a third of it at most (RFC 4271 section 4.4), and at least a second. */
export function keepaliveSeconds(holdSeconds: number, configured: number | undefined): number {
  if (holdSeconds === 0) return 0;
  const third = Math.max(1, Math.floor(holdSeconds / 3));
  return configured === undefined || configured <= 0 ? third : Math.min(configured, third);
}

/** SendHoldTime (RFC 9687 section 4): 0 where there is no hold time. */
export function sendHoldSeconds(holdSeconds: number): number {
  return holdSeconds === 0 ? 0 : Math.max(leastSendHoldSeconds, holdSeconds * 2);
}

export function startTimer(timer: FsmTimer, seconds: number): FsmEffect {
  return { kind: "startTimer", timer, seconds };
}

export function stopTimer(timer: FsmTimer): FsmEffect {
  return { kind: "stopTimer", timer };
}

export function restartHold({ holdSeconds }: Fsm): readonly FsmEffect[] {
  return holdSeconds === 0 ? [] : [startTimer("hold", holdSeconds)];
}
