import { assertNever } from "../../lib/brand.ts";
import { explainNotification } from "../wire/notification.ts";
import { isParting } from "./cease.ts";
import {
  isOpeningError,
  openAccepted,
  stepEstablished,
  stepOpenConfirm,
  stepOpenSent,
} from "./connected.ts";
import type { FsmConfig, FsmEvent, FsmTimer } from "./events.ts";
import type { Fsm, Step } from "./fsm.ts";
import { checkOpen } from "./open-check.ts";
import { openHoldSeconds, startTimer, stopTimer } from "./timers.ts";
import {
  closeTcp,
  connect,
  failed,
  notified,
  parted,
  send,
  stopped,
  stopTimers,
  waitForPeer,
} from "./transitions.ts";

/**
 * The state machine of one session (RFC 4271 section 8.2.2), with DelayOpen, DampPeerOscillations and
 * SendNOTIFICATIONwithoutOPEN, CollisionDetectEstablishedState off. Pure: the shell performs the
 * effects, in order. It also does events 14 and 15: connections of who is no peer never get here.
 *
 * Differs from RFC 4271 section 8.2.2:
 * - a failed connect leads to Active, not to Idle: Idle refuses the peer's connections, and a peer
 *   that cannot be reached may well reach us (BIRD and OpenBGPD do the same);
 * - a NOTIFICATION is never answered by one, not even where it is "any other event" (section 6
 *   says so as well);
 * - a version error (event 24) is damped as every other: we speak one version only, so the next try
 *   would end in the same way at once;
 * - from Idle the session starts again by itself after the idle hold time. Before that, the peer's
 *   connection starts it (event 7) after a Cease that a person has asked for, or after a few failures.
 */
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
      return stepOpenConfirm(fsm, event, config);
    case "Established":
      return stepEstablished(fsm, event, config);
    default:
      return assertNever(fsm.state);
  }
}

function stepIdle(fsm: Fsm, event: FsmEvent, config: FsmConfig): Step {
  if (event.kind === "start") {
    // What is started on purpose has no past; what the peer's connection starts has (event 7).
    const { passive } = event;
    const fresh = passive ? fsm : { ...fsm, connectRetries: 0, failures: 0 };
    return started(fresh, config, passive || config.passive);
  }
  if (event.kind === "timerExpired" && event.timer === "idleHold") {
    return started(fsm, config, config.passive);
  }
  if (event.kind === "stop") return [{ ...fsm, reason: "Stopped" }, [stopTimer("idleHold")]];
  return [fsm, []];
}

function started(fsm: Fsm, config: FsmConfig, passive: boolean): Step {
  const timer = stopTimer("idleHold");
  if (passive) {
    const reason = waiting(config);
    return [{ ...fsm, admitsPeer: false, state: "Active", reason }, [timer]];
  }
  const [next, effects] = connect(fsm, config);
  return [next, [timer, ...effects]];
}

/** Connect and Active: they differ only in whether a TCP connection is being opened. */
function stepConnecting(fsm: Fsm, event: FsmEvent, config: FsmConfig): Step {
  switch (event.kind) {
    case "start":
    case "reset":
      return [fsm, []];
    case "stop":
      return stopped(fsm, event, { config, hasOpened: false });
    case "tcpConnected":
      return tcpConnected(fsm, config);
    case "tcpFailed":
      return waitForPeer(fsm, event.reason, config);
    case "timerExpired":
      return connectingTimer(fsm, event.timer, config);
    case "openReceived":
      return fsm.delaysOpen ? openBeforeOurs(fsm, event, config) : surprised(fsm, event);
    case "notificationReceived": {
      const { notification } = event;
      const reason = `Received NOTIFICATION ${explainNotification(notification)}`;
      return isParting(notification)
        ? parted(fsm, reason, { config, graceful: false })
        : failed(fsm, reason);
    }
    case "fault":
      return fsm.delaysOpen && isOpeningError(event.notification)
        ? notified(fsm, config, event)
        : surprised(fsm, event);
    default:
      return surprised(fsm, event);
  }
}

function surprised(fsm: Fsm, { kind }: FsmEvent): Step {
  return failed(fsm, `Unexpected ${kind} in ${fsm.state}`);
}

function tcpConnected(fsm: Fsm, config: FsmConfig): Step {
  const { delayOpenSeconds = 0 } = config;
  if (delayOpenSeconds === 0) return sendOpen({ ...fsm, reason: "TCP connected" });
  const reason = "TCP connected, waiting for the peer's OPEN";
  const delay = startTimer("delayOpen", delayOpenSeconds);
  return [{ ...fsm, delaysOpen: true, reason }, [stopTimer("connectRetry"), delay]];
}

function sendOpen(fsm: Fsm): Step {
  return [
    { ...fsm, state: "OpenSent", delaysOpen: false },
    [stopTimers, send("open"), startTimer("hold", openHoldSeconds)],
  ];
}

/** [20] */
function openBeforeOurs(
  fsm: Fsm,
  { open }: Extract<FsmEvent, { kind: "openReceived" }>,
  config: FsmConfig,
): Step {
  const wrong = checkOpen(open, config);
  if (wrong !== undefined) return notified(fsm, config, wrong);
  const [next, effects] = openAccepted(fsm, open, config);
  return [next, [stopTimers, send("open"), ...effects]];
}

function connectingTimer(fsm: Fsm, timer: FsmTimer, config: FsmConfig): Step {
  if (timer === "delayOpen" && fsm.delaysOpen) {
    return sendOpen({ ...fsm, reason: "The peer sent no OPEN of its own" });
  }
  if (timer !== "connectRetry") return failed(fsm, `Unexpected ${timer} timer in ${fsm.state}`);
  if (config.passive) return [fsm, []];
  const [next, effects] = connect(fsm, config);
  if (fsm.state === "Active" && !fsm.delaysOpen) return [next, effects];
  return [{ ...next, reason: noAnswer(config) }, [stopTimers, closeTcp, ...effects]];
}

function waiting({ password }: FsmConfig): string {
  return `Waiting for the peer${password === undefined ? "" : ", which must have our TCP-MD5 key"}`;
}

function noAnswer({ password }: FsmConfig): string {
  return `No answer${password === undefined ? "" : ": the peer may have another TCP-MD5 key"}`;
}
