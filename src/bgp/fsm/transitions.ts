import { errorCode, explainNotification, type NotificationBody } from "../wire/notification.ts";
import { ceaseNotification, isParting, keepsRoutes, peerKeepsOurs } from "./cease.ts";
import type { CeaseReason, FsmConfig, FsmEffect } from "./events.ts";
import type { Fsm, FsmState, Step } from "./fsm.ts";
import { connectRetrySeconds, idleHoldSeconds, startTimer } from "./timers.ts";

/**
 * So many failures in a row may end sooner than the idle hold time, when the peer connects: it has
 * restarted. One that goes on like this is damped in both directions.
 */
const forgivenAtOnce = 3;

/** The ways out of a state that several states share. Each gives what RFC 4271 section 8.2.2 lists. */

export const noData: Uint8Array = new Uint8Array(0);
export const closeTcp: FsmEffect = { kind: "closeTcp" };
export const stopTimers: FsmEffect = { kind: "stopTimers" };

export function send(message: "open" | "keepalive"): FsmEffect {
  return { kind: "send", message };
}

/** A new TCP connection. */
export function connect(fsm: Fsm, config: FsmConfig): Step {
  return [
    { ...disconnected(fsm, "Connecting"), state: "Connect" },
    [startTimer("connectRetry", config.connectRetrySeconds), { kind: "connect" }],
  ];
}

/** The TCP connection is gone, the peer has done nothing wrong: to Active. */
export function waitForPeer(fsm: Fsm, reason: string, config: FsmConfig): Step {
  const seconds = connectRetrySeconds(fsm.connectRetries, config);
  const retry = config.passive ? [] : [startTimer("connectRetry", seconds)];
  const waiting = { ...disconnected(fsm, reason), connectRetries: fsm.connectRetries + 1 };
  return [{ ...waiting, state: "Active" }, [stopTimers, closeTcp, ...retry]];
}

/** To Idle with a NOTIFICATION, and again after an idle hold time. */
export function notified(
  fsm: Fsm,
  config: FsmConfig,
  { notification, reason }: { readonly notification: NotificationBody; readonly reason: string },
): Step {
  const graceful = keepsRoutes(fsm, config, notification);
  return failed(fsm, reason, { notification, graceful });
}

/**
 * To Idle, because somebody at one of the two ends wants it so: no failure of the session, so the next
 * try is as soon as after a connect that was refused. Until then the peer itself may come back.
 */
export function parted(
  fsm: Fsm,
  reason: string,
  {
    config,
    notification,
    graceful,
  }: {
    readonly config: FsmConfig;
    readonly notification?: NotificationBody;
    readonly graceful: boolean;
  },
): Step {
  const { connectRetries } = fsm;
  const seconds = connectRetrySeconds(connectRetries, config);
  const idle = { ...disconnected(fsm, reason), connectRetries: connectRetries + 1 };
  return [{ ...idle, admitsPeer: true }, leaving(fsm, { reason, notification, graceful, seconds })];
}

/** To Idle, and again after an idle hold time. */
export function failed(
  fsm: Fsm,
  reason: string,
  { notification, graceful = false }: { notification?: NotificationBody; graceful?: boolean } = {},
): Step {
  const failures = fsm.failures + 1;
  const seconds = idleHoldSeconds(failures);
  const effects = leaving(fsm, { reason, notification, graceful, seconds });
  const admitsPeer = failures <= forgivenAtOnce;
  return [{ ...disconnected(fsm, reason), failures, admitsPeer }, effects];
}

/** What a connection ends with, and the idle hold time. */
function leaving(
  { state }: Fsm,
  end: {
    readonly reason: string;
    readonly notification: NotificationBody | undefined;
    readonly graceful: boolean;
    readonly seconds: number;
  },
): readonly FsmEffect[] {
  const { reason, notification, graceful, seconds } = end;
  return [
    stopTimers,
    ...(notification === undefined ? [] : [{ kind: "notify", notification } as const]),
    closeTcp,
    ...(state === "Established" ? [down(reason, graceful)] : []),
    startTimer("idleHold", seconds),
  ];
}

/** To Idle until the next start. `hasOpened`: our OPEN is out, so the peer is told. */
export function stopped(
  fsm: Fsm,
  event: { readonly quiet: boolean } & CeaseReason,
  { config, hasOpened }: { readonly config: FsmConfig; readonly hasOpened: boolean },
): Step {
  const notification = ceaseNotification(event, speaksNotificationBit(fsm, config));
  const isQuiet = event.quiet && (fsm.state !== "Established" || peerKeepsOurs(fsm, config));
  const reason = `Stopped: ${explainNotification(notification)}`;
  const effects: FsmEffect[] = [
    stopTimers,
    ...(hasOpened && !isQuiet ? [{ kind: "notify", notification } as const] : []),
    closeTcp,
    ...(fsm.state === "Established" ? [down(reason, false)] : []),
  ];
  return [{ ...disconnected(fsm, reason), failures: 0, connectRetries: 0 }, effects];
}

/** As stopped(), but it comes back by itself. */
export function reset(fsm: Fsm, event: CeaseReason, config: FsmConfig): Step {
  const notification = ceaseNotification(event, speaksNotificationBit(fsm, config));
  const reason = `Reset: ${explainNotification(notification)}`;
  if (!isParting(notification)) return notified(fsm, config, { notification, reason });
  const graceful = keepsRoutes(fsm, config, notification);
  return parted(fsm, reason, { config, notification, graceful });
}

/** RFC 6608: 1 in OpenSent, 2 in OpenConfirm, 3 in Established. */
export function unexpected(fsm: Fsm, what: string, config: FsmConfig): Step {
  const subcode = fsmSubcodes[fsm.state] ?? 0;
  const notification = { code: errorCode.fsm, subcode, data: noData };
  return notified(fsm, config, { notification, reason: `Unexpected ${what} in ${fsm.state}` });
}

const fsmSubcodes: Readonly<Partial<Record<FsmState, number>>> = {
  OpenSent: 1,
  OpenConfirm: 2,
  Established: 3,
};

/** Both sides keep routes over a NOTIFICATION (RFC 8538). */
function speaksNotificationBit(fsm: Fsm, config: FsmConfig): boolean {
  return keepsRoutes(fsm, config, { code: 0, subcode: 0, data: noData });
}

/** Idle and without what the connection had brought. */
export function disconnected({ failures, connectRetries }: Fsm, reason: string): Fsm {
  return {
    state: "Idle",
    reason,
    connectRetries,
    failures,
    admitsPeer: false,
    delaysOpen: false,
    holdSeconds: 0,
    keepaliveSeconds: 0,
  };
}

export function down(reason: string, graceful: boolean): FsmEffect {
  return { kind: "down", reason, graceful };
}
