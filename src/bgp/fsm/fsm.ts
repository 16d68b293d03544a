import { assertNever } from "../../lib/brand.ts";
import type { OpenMessage } from "../wire/message.ts";
import { describeNotification, errorCode, type NotificationBody } from "../wire/notification.ts";
import type { FsmConfig, FsmEffect, FsmEvent, FsmTimer } from "./events.ts";
import { checkOpen } from "./open-check.ts";

/**
 * The state machine of one session (RFC 4271 section 8.2.2), with DampPeerOscillations and without
 * DelayOpen. Pure: the shell performs the effects, in order.
 *
 * Differs from RFC 4271 section 8.2.2:
 * - a failed connect leads from Connect to Active, not to Idle: Idle refuses the peer's connections,
 *   and a peer that cannot be reached may well reach us (BIRD and OpenBGPD do the same);
 * - a NOTIFICATION is never answered by one, not even where it is "any other event" (section 6
 *   says so as well);
 * - from Idle the session starts again by itself after an idle hold time that doubles.
 */

export type FsmState = "Idle" | "Connect" | "Active" | "OpenSent" | "OpenConfirm" | "Established";

export interface Fsm {
  readonly state: FsmState;
  /** Failures since the session was last stable: the exponent of the idle hold time. */
  readonly failures: number;
  /** Why the last transition happened. */
  readonly reason: string;
  /** The peer's OPEN and what follows from it, from OpenConfirm on. 0: no timer. */
  readonly open?: OpenMessage;
  readonly holdSeconds: number;
  readonly keepaliveSeconds: number;
}

export type Step = readonly [fsm: Fsm, effects: readonly FsmEffect[]];

export const initialFsm: Fsm = {
  state: "Idle",
  failures: 0,
  reason: "Not started",
  holdSeconds: 0,
  keepaliveSeconds: 0,
};

/** "Large value" for the hold timer before the OPEN (RFC 4271 section 8.2.2, OpenSent). */
export const openHoldSeconds = 240;
const firstIdleHoldSeconds = 0.25;
const maxIdleHoldSeconds = 60;

/** One event; pure. */
export function step(fsm: Fsm, event: FsmEvent, config: FsmConfig): Step {
  switch (fsm.state) {
    case "Idle":
      return stepIdle(fsm, event, config);
    case "Connect":
    case "Active":
      return stepConnecting(fsm, event, config);
    case "OpenSent":
      return stepOpenSent(fsm, event, config);
    case "OpenConfirm":
      return stepOpenConfirm(fsm, event);
    case "Established":
      return stepEstablished(fsm, event);
    default:
      return assertNever(fsm.state);
  }
}

/** Seconds in Idle before the next try, after `failures` in a row. */
export function idleHoldSeconds(failures: number): number {
  return Math.min(firstIdleHoldSeconds * 2 ** Math.max(0, failures - 1), maxIdleHoldSeconds);
}

function stepIdle(fsm: Fsm, event: FsmEvent, config: FsmConfig): Step {
  const startAgain = event.kind === "timerExpired" && event.timer === "idleHold";
  if (event.kind === "start" || startAgain) {
    const timer = stopTimer("idleHold");
    if (config.passive || (event.kind === "start" && event.passive)) {
      return [{ ...fsm, state: "Active", reason: "Waiting for the peer" }, [timer]];
    }
    return [{ ...fsm, state: "Connect", reason: "Connecting" }, [timer, ...connect(config)]];
  }
  if (event.kind === "stop") return [{ ...fsm, reason: "Stopped" }, [stopTimer("idleHold")]];
  return [fsm, []];
}

/** Connect and Active: they differ only in whether a TCP connection is being opened. */
function stepConnecting(fsm: Fsm, event: FsmEvent, config: FsmConfig): Step {
  switch (event.kind) {
    case "start":
      return [fsm, []];
    case "stop":
      return stopped(fsm, event);
    case "tcpConnected":
      return [
        { ...fsm, state: "OpenSent", reason: "TCP connected" },
        [stopTimer("connectRetry"), send("open"), startTimer("hold", openHoldSeconds)],
      ];
    case "tcpFailed":
      return waitForPeer(fsm, event.reason, config);
    case "timerExpired":
      if (event.timer !== "connectRetry") return failed(fsm, `Unexpected ${event.timer} timer`);
      if (config.passive) return [fsm, []];
      return [
        { ...fsm, state: "Connect", reason: "Connecting" },
        [...(fsm.state === "Connect" ? [closeTcp] : []), ...connect(config)],
      ];
    default:
      return failed(fsm, `Unexpected event ${event.kind} in ${fsm.state}`);
  }
}

function stepOpenSent(fsm: Fsm, event: FsmEvent, config: FsmConfig): Step {
  switch (event.kind) {
    case "start":
      return [fsm, []];
    case "tcpFailed":
      return waitForPeer(fsm, event.reason, config);
    case "openReceived": {
      const wrong = checkOpen(event.open, config);
      if (wrong !== undefined) return notified(fsm, wrong.notification, wrong.reason);
      return openAccepted(fsm, event.open, config);
    }
    default:
      return stepConnected(fsm, event, 1);
  }
}

function openAccepted(fsm: Fsm, open: OpenMessage, config: FsmConfig): Step {
  const holdSeconds = Math.min(config.holdSeconds, open.holdSeconds);
  const keepaliveSeconds = keepaliveOf(holdSeconds, config.keepaliveSeconds);
  const timers =
    holdSeconds === 0
      ? [stopTimer("hold")]
      : [startTimer("hold", holdSeconds), startTimer("keepalive", keepaliveSeconds)];
  return [
    { ...fsm, state: "OpenConfirm", reason: "OPEN received", open, holdSeconds, keepaliveSeconds },
    [send("keepalive"), ...timers],
  ];
}

/** A third of the hold time at most (RFC 4271 section 4.4), and at least a second. */
function keepaliveOf(holdSeconds: number, configured: number | undefined): number {
  if (holdSeconds === 0) return 0;
  const third = Math.max(1, Math.floor(holdSeconds / 3));
  return configured === undefined || configured <= 0 ? third : Math.min(configured, third);
}

function stepOpenConfirm(fsm: Fsm, event: FsmEvent): Step {
  if (event.kind === "keepaliveReceived" && fsm.open !== undefined) {
    const failures = fsm.holdSeconds === 0 ? 0 : fsm.failures;
    return [
      { ...fsm, state: "Established", reason: "KEEPALIVE received", failures },
      [...restartHold(fsm), { kind: "established", open: fsm.open }],
    ];
  }
  return stepConnected(fsm, event, 2);
}

function stepEstablished(fsm: Fsm, event: FsmEvent): Step {
  switch (event.kind) {
    case "keepaliveReceived":
      // One keepalive interval has passed since the first KEEPALIVE: the session is stable.
      return [fsm.failures === 0 ? fsm : { ...fsm, failures: 0 }, restartHold(fsm)];
    case "updateReceived":
      return [fsm, [...restartHold(fsm), { kind: "deliver", update: event.update }]];
    case "refreshReceived":
      return [fsm, [...restartHold(fsm), { kind: "refresh", afi: event.afi, safi: event.safi }]];
    case "replaced": {
      const reason = "The peer opened a new connection";
      const effects = [...stopTimers(), closeTcp, down(reason, keepsRoutes(fsm))];
      return [{ ...disconnected(fsm, reason), state: "Active" }, effects];
    }
    default:
      return stepConnected(fsm, event, 3);
  }
}

/** What OpenSent, OpenConfirm and Established have in common. `fsmSubcode`: RFC 6608. */
function stepConnected(fsm: Fsm, event: FsmEvent, fsmSubcode: number): Step {
  switch (event.kind) {
    case "start":
      return [fsm, []];
    case "stop":
      return stopped(fsm, event);
    case "timerExpired":
      return connectedTimer(fsm, event.timer, fsmSubcode);
    case "tcpFailed":
      return failed(fsm, event.reason, { graceful: keepsRoutes(fsm) });
    case "notificationReceived":
      return failed(fsm, `Received NOTIFICATION ${describeNotification(event.notification)}`);
    case "fault":
      return notified(fsm, event.notification, event.reason);
    case "collisionLost": {
      const notification = { code: errorCode.cease, subcode: 7, data: noData };
      return notified(fsm, notification, "The other connection to the peer is kept");
    }
    default: {
      const notification = { code: errorCode.fsm, subcode: fsmSubcode, data: noData };
      return notified(fsm, notification, `Unexpected ${event.kind} in ${fsm.state}`);
    }
  }
}

function connectedTimer(fsm: Fsm, timer: FsmTimer, fsmSubcode: number): Step {
  if (timer === "hold") {
    const notification = { code: errorCode.holdTimerExpired, subcode: 0, data: noData };
    return notified(fsm, notification, "Hold timer expired");
  }
  if (timer === "keepalive" && fsm.keepaliveSeconds > 0) {
    return [fsm, [send("keepalive"), startTimer("keepalive", fsm.keepaliveSeconds)]];
  }
  const notification = { code: errorCode.fsm, subcode: fsmSubcode, data: noData };
  return notified(fsm, notification, `Unexpected ${timer} timer`);
}

const noData = new Uint8Array(0);
const closeTcp: FsmEffect = { kind: "closeTcp" };

/** RFC 4724 section 4.2: the peer's routes stay when TCP ends and it has said it can restart. */
function keepsRoutes({ state, open }: Fsm): boolean {
  if (state !== "Established" || open === undefined) return false;
  return open.capabilities.some(
    (capability) => capability.kind === "gracefulRestart" && capability.families.length > 0,
  );
}

function connect({ connectRetrySeconds }: FsmConfig): FsmEffect[] {
  return [startTimer("connectRetry", connectRetrySeconds), { kind: "connect" }];
}

/** The TCP connection is gone, the peer has done nothing wrong: to Active. */
function waitForPeer(fsm: Fsm, reason: string, config: FsmConfig): Step {
  const retry = config.passive ? [] : [startTimer("connectRetry", config.connectRetrySeconds)];
  const effects = [stopTimer("hold"), stopTimer("keepalive"), closeTcp, ...retry];
  return [{ ...disconnected(fsm, reason), state: "Active" }, effects];
}

function notified(fsm: Fsm, notification: NotificationBody, reason: string): Step {
  return failed(fsm, reason, { notification });
}

/** To Idle, for an idle hold time. */
function failed(
  fsm: Fsm,
  reason: string,
  { notification, graceful = false }: { notification?: NotificationBody; graceful?: boolean } = {},
): Step {
  const failures = fsm.failures + 1;
  const effects: FsmEffect[] = [
    ...stopTimers(),
    ...(notification === undefined ? [] : [{ kind: "notify", notification } as const]),
    closeTcp,
    ...(fsm.state === "Established" ? [down(reason, graceful)] : []),
    startTimer("idleHold", idleHoldSeconds(failures)),
  ];
  return [{ ...disconnected(fsm, reason), failures }, effects];
}

/** To Idle until the next start. */
function stopped(
  fsm: Fsm,
  { ceaseSubcode, quiet }: { readonly ceaseSubcode: number; readonly quiet: boolean },
): Step {
  const opened = fsm.state !== "Connect" && fsm.state !== "Active";
  const notification = { code: errorCode.cease, subcode: ceaseSubcode, data: noData };
  const reason = `Stopped: ${describeNotification(notification)}`;
  const effects: FsmEffect[] = [
    ...stopTimers(),
    ...(opened && !quiet ? [{ kind: "notify", notification } as const] : []),
    closeTcp,
    ...(fsm.state === "Established" ? [down(reason, false)] : []),
  ];
  return [{ ...disconnected(fsm, reason), failures: 0 }, effects];
}

/** Idle and without what the peer's OPEN had brought. */
function disconnected({ failures }: Fsm, reason: string): Fsm {
  return { state: "Idle", failures, reason, holdSeconds: 0, keepaliveSeconds: 0 };
}

function down(reason: string, graceful: boolean): FsmEffect {
  return { kind: "down", reason, graceful };
}

function send(message: "open" | "keepalive"): FsmEffect {
  return { kind: "send", message };
}

function startTimer(timer: FsmTimer, seconds: number): FsmEffect {
  return { kind: "startTimer", timer, seconds };
}

function stopTimer(timer: FsmTimer): FsmEffect {
  return { kind: "stopTimer", timer };
}

function stopTimers(): FsmEffect[] {
  return [stopTimer("connectRetry"), stopTimer("hold"), stopTimer("keepalive")];
}

function restartHold({ holdSeconds }: Fsm): FsmEffect[] {
  return holdSeconds === 0 ? [] : [startTimer("hold", holdSeconds)];
}
