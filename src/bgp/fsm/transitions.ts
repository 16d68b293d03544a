import { errorCode, type NotificationBody } from "../wire/notification.ts";
import { ceaseNotification, explainNotification, keepsRoutes } from "./cease.ts";
import type { CeaseReason, FsmConfig, FsmEffect } from "./events.ts";
import type { Fsm, FsmState, Step } from "./fsm.ts";
import { connectRetrySeconds, idleHoldSeconds, startTimer } from "./timers.ts";

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

/** To Idle, and again after an idle hold time. */
export function failed(
  fsm: Fsm,
  reason: string,
  { notification, graceful = false }: { notification?: NotificationBody; graceful?: boolean } = {},
): Step {
  const failures = fsm.failures + 1;
  const effects: FsmEffect[] = [
    stopTimers,
    ...(notification === undefined ? [] : [{ kind: "notify", notification } as const]),
    closeTcp,
    ...(fsm.state === "Established" ? [down(reason, graceful)] : []),
    startTimer("idleHold", idleHoldSeconds(failures)),
  ];
  return [{ ...disconnected(fsm, reason), failures }, effects];
}

/** To Idle until the next start. `hasOpened`: our OPEN is out, so the peer is told. */
export function stopped(
  fsm: Fsm,
  event: { readonly quiet: boolean } & CeaseReason,
  { config, hasOpened }: { readonly config: FsmConfig; readonly hasOpened: boolean },
): Step {
  const notification = ceaseNotification(event, speaksNotificationBit(fsm, config));
  const reason = `Stopped: ${explainNotification(notification)}`;
  const effects: FsmEffect[] = [
    stopTimers,
    ...(hasOpened && !event.quiet ? [{ kind: "notify", notification } as const] : []),
    closeTcp,
    ...(fsm.state === "Established" ? [down(reason, false)] : []),
  ];
  return [{ ...disconnected(fsm, reason), failures: 0, connectRetries: 0 }, effects];
}

/** As stopped(), but it comes back by itself. */
export function reset(fsm: Fsm, event: CeaseReason, config: FsmConfig): Step {
  const notification = ceaseNotification(event, speaksNotificationBit(fsm, config));
  const reason = `Reset: ${explainNotification(notification)}`;
  return notified(fsm, config, { notification, reason });
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
    delaysOpen: false,
    holdSeconds: 0,
    keepaliveSeconds: 0,
  };
}

export function down(reason: string, graceful: boolean): FsmEffect {
  return { kind: "down", reason, graceful };
}
