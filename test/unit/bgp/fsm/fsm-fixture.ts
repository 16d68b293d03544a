import type { FsmConfig, FsmEffect, FsmEvent, FsmTimer } from "../../../../src/bgp/fsm/events.ts";
import { type Fsm, type FsmState, initialFsm } from "../../../../src/bgp/fsm/fsm.ts";
import type { OpenMessage, UpdateMessage } from "../../../../src/bgp/wire/message.ts";
import type { Asn } from "../../../../src/lib/asn.ts";

export const config: FsmConfig = {
  localAs: 64512 as Asn,
  remoteAs: 64513 as Asn,
  localRouterId: 0x0a000001,
  passive: false,
  holdSeconds: 90,
  connectRetrySeconds: 5,
  families: [4],
  gracefulRestartSeconds: 120,
};

export const open: OpenMessage = {
  kind: "open",
  asn: 64513 as Asn,
  holdSeconds: 60,
  routerId: 0x0a000002,
  capabilities: [],
};

/** The peer keeps our routes when TCP ends; with `notification` over a NOTIFICATION as well. */
export function restartable(notification: boolean): OpenMessage {
  const families = [{ afi: 1, safi: 1, forwarding: true }];
  const capability = { restarting: false, notification, restartSeconds: 120, families };
  return { ...open, capabilities: [{ kind: "gracefulRestart", ...capability }] };
}

/** A session that got to `state`, with what it knows then. "+" after it: the DelayOpenTimer runs. */
export function at(state: FsmState | "Connect+" | "Active+", peerOpen: OpenMessage = open): Fsm {
  const knows = state === "OpenConfirm" || state === "Established";
  return {
    ...initialFsm,
    state: state.replace("+", "") as FsmState,
    delaysOpen: state.endsWith("+"),
    ...(knows ? { open: peerOpen } : {}),
    holdSeconds: knows ? 60 : 0,
    keepaliveSeconds: knows ? 20 : 0,
  };
}

const data = new Uint8Array(0);
const update: UpdateMessage = { kind: "update", withdrawn: [], announced: [], endOfRib: [4] };
const refresh = { kind: "routeRefresh", afi: 1, safi: 1, subtype: 0 } as const;

export const expired = (timer: FsmTimer): FsmEvent => ({ kind: "timerExpired", timer });

export function opened(changes: Partial<OpenMessage> = {}): FsmEvent {
  return { kind: "openReceived", open: { ...open, ...changes } };
}

export function notification(code: number, subcode: number, bytes: Uint8Array = data): FsmEvent {
  return { kind: "notificationReceived", notification: { code, subcode, data: bytes } };
}

export function fault(code: number, subcode: number): FsmEvent {
  return { kind: "fault", notification: { code, subcode, data }, reason: "wrong bytes" };
}

/** The events of RFC 4271 section 8.1, with RFC 9687 and those of our own, by the names of the table. */
export const events: Readonly<Record<string, FsmEvent>> = {
  "1 start": { kind: "start", passive: false },
  "2 stop": { kind: "stop", ceaseSubcode: 2, quiet: false },
  "4 start passive": { kind: "start", passive: true },
  "8 reset": { kind: "reset", ceaseSubcode: 4 },
  "8 stop quietly": { kind: "stop", ceaseSubcode: 2, quiet: true },
  "9 ConnectRetryTimer": expired("connectRetry"),
  "10 HoldTimer": expired("hold"),
  "11 KeepaliveTimer": expired("keepalive"),
  "12 DelayOpenTimer": expired("delayOpen"),
  "13 IdleHoldTimer": expired("idleHold"),
  "16 TCP connected": { kind: "tcpConnected" },
  "18 TCP failed": { kind: "tcpFailed", reason: "reset" },
  "19 OPEN": opened(),
  "21 header error": fault(1, 2),
  "22 OPEN error": opened({ holdSeconds: 1 }),
  "22 OPEN malformed": fault(2, 0),
  "23 collision lost": { kind: "collisionLost" },
  "24 NOTIFICATION version": notification(2, 1),
  "25 NOTIFICATION": notification(6, 2),
  "26 KEEPALIVE": { kind: "keepaliveReceived" },
  "27 UPDATE": { kind: "updateReceived", update },
  "28 UPDATE error": fault(3, 1),
  "29 SendHoldTimer": expired("sendHold"),
  "ROUTE-REFRESH": { kind: "refreshReceived", refresh },
  replaced: { kind: "replaced" },
};

export function words(effects: readonly FsmEffect[]): string {
  return effects
    .map(word)
    .join(" ")
    .replace(/^stop (.*)close (down |down-graceful )?idleHold=0\.25$/, "fail $1$2")
    .trim();
}

function word(effect: FsmEffect): string {
  switch (effect.kind) {
    case "send":
      return effect.message;
    case "notify":
      return `notify=${effect.notification.code}/${effect.notification.subcode}`;
    case "closeTcp":
      return "close";
    case "startTimer":
      return `${effect.timer}=${effect.seconds}`;
    case "stopTimer":
      return `-${effect.timer}`;
    case "stopTimers":
      return "stop";
    case "down":
      return effect.graceful ? "down-graceful" : "down";
    default:
      return effect.kind;
  }
}
