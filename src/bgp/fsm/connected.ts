import type { OpenMessage } from "../wire/message.ts";
import { errorCode, explainNotification, type NotificationBody } from "../wire/notification.ts";
import { isParting, keepsRoutes } from "./cease.ts";
import type { FsmConfig, FsmEvent, FsmTimer } from "./events.ts";
import type { Fsm, Step } from "./fsm.ts";
import { checkOpen } from "./open-check.ts";
import { keepaliveSeconds, restartHold, startTimer, stopTimer } from "./timers.ts";
import {
  closeTcp,
  disconnected,
  down,
  failed,
  noData,
  notified,
  parted,
  reset,
  send,
  stopped,
  stopTimers,
  unexpected,
  waitForPeer,
} from "./transitions.ts";

/** The states in which our OPEN is out. */

/** Cease/Connection Collision Resolution (RFC 4486). */
const collision = { code: errorCode.cease, subcode: 7, data: noData };
/** RFC 9687 section 3.2. */
const sendHoldExpired = { code: 8, subcode: 0, data: noData };

export function stepOpenSent(fsm: Fsm, event: FsmEvent, config: FsmConfig): Step {
  switch (event.kind) {
    case "tcpFailed":
      return waitForPeer(fsm, event.reason, config);
    case "openReceived": {
      const wrong = checkOpen(event.open, config);
      if (wrong !== undefined) return notified(fsm, config, wrong);
      return openAccepted(fsm, event.open, config);
    }
    default:
      return stepConnected(fsm, event, config);
  }
}

/** The peer's OPEN is good and ours is out: to OpenConfirm. */
export function openAccepted(fsm: Fsm, open: OpenMessage, config: FsmConfig): Step {
  const holdSeconds = Math.min(config.holdSeconds, open.holdSeconds);
  const keepalive = keepaliveSeconds(holdSeconds, config.keepaliveSeconds);
  const timers =
    holdSeconds === 0
      ? [stopTimer("hold")]
      : [startTimer("hold", holdSeconds), startTimer("keepalive", keepalive)];
  const confirming = { open, holdSeconds, keepaliveSeconds: keepalive, delaysOpen: false };
  return [
    { ...fsm, ...confirming, state: "OpenConfirm", reason: "OPEN received" },
    [send("keepalive"), ...timers],
  ];
}

export function stepOpenConfirm(fsm: Fsm, event: FsmEvent, config: FsmConfig): Step {
  if (event.kind === "keepaliveReceived" && fsm.open !== undefined) {
    // Without KEEPALIVEs nothing would ever forgive a failure.
    const failures = fsm.holdSeconds === 0 ? 0 : fsm.failures;
    return [
      { ...fsm, state: "Established", reason: "KEEPALIVE received", failures, connectRetries: 0 },
      [...restartHold(fsm), { kind: "established", open: fsm.open }],
    ];
  }
  return stepConnected(fsm, event, config);
}

export function stepEstablished(fsm: Fsm, event: FsmEvent, config: FsmConfig): Step {
  switch (event.kind) {
    case "keepaliveReceived":
      return [fsm, restartHold(fsm)];
    case "updateReceived":
      return [fsm, [...restartHold(fsm), { kind: "deliver", update: event.update }]];
    case "refreshReceived":
      return [fsm, [...restartHold(fsm), { kind: "refresh", refresh: event.refresh }]];
    case "replaced": {
      const reason = "The peer opened a new connection";
      const effects = [stopTimers, closeTcp, down(reason, keepsRoutes(fsm, config))];
      return [{ ...disconnected(fsm, reason), state: "Active" }, effects];
    }
    default:
      return stepConnected(fsm, event, config);
  }
}

/** What OpenSent, OpenConfirm and Established have in common. */
function stepConnected(fsm: Fsm, event: FsmEvent, config: FsmConfig): Step {
  switch (event.kind) {
    case "start":
      return [fsm, []];
    case "stop":
      return stopped(fsm, event, { config, hasOpened: true });
    case "reset":
      return reset(fsm, event, config);
    case "timerExpired":
      return connectedTimer(fsm, event.timer, config);
    case "tcpFailed":
      return failed(fsm, event.reason, { graceful: keepsRoutes(fsm, config) });
    case "notificationReceived": {
      const { notification } = event;
      const reason = `Received NOTIFICATION ${explainNotification(notification)}`;
      const graceful = keepsRoutes(fsm, config, notification);
      return isParting(notification)
        ? parted(fsm, reason, { config, graceful })
        : failed(fsm, reason, { graceful });
    }
    case "fault":
      return isExpected(fsm, event.notification)
        ? notified(fsm, config, event)
        : unexpected(fsm, event.kind, config);
    case "collisionLost": {
      const reason = "The other connection to the peer is kept";
      return notified(fsm, config, { notification: collision, reason });
    }
    default:
      return unexpected(fsm, event.kind, config);
  }
}

/** Events 21 and 22; others are no errors of an opening session. */
export function isOpeningError({ code }: NotificationBody): boolean {
  return code === errorCode.header || code === errorCode.open;
}

/** A malformed message counts as the message that it is: an OPEN is as wrong in Established as it is. */
function isExpected({ state }: Fsm, notification: NotificationBody): boolean {
  const { code } = notification;
  return state === "Established" ? code !== errorCode.open : isOpeningError(notification);
}

function connectedTimer(fsm: Fsm, timer: FsmTimer, config: FsmConfig): Step {
  if (timer === "hold") {
    const notification = { code: errorCode.holdTimerExpired, subcode: 0, data: noData };
    return notified(fsm, config, { notification, reason: "Hold timer expired" });
  }
  if (timer === "sendHold") {
    const reason = "Send hold timer expired: the peer takes no bytes";
    return notified(fsm, config, { notification: sendHoldExpired, reason });
  }
  if (timer === "keepalive" && fsm.keepaliveSeconds > 0 && fsm.state !== "OpenSent") {
    const forgiven = fsm.state === "Established" && fsm.failures > 0;
    const next = forgiven ? { ...fsm, failures: fsm.failures - 1 } : fsm;
    return [next, [send("keepalive"), startTimer("keepalive", fsm.keepaliveSeconds)]];
  }
  return unexpected(fsm, `${timer} timer`, config);
}
