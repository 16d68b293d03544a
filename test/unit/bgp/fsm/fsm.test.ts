import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { FsmConfig, FsmEffect, FsmEvent } from "../../../../src/bgp/fsm/events.ts";
import {
  type Fsm,
  type FsmState,
  idleHoldSeconds,
  initialFsm,
  step,
} from "../../../../src/bgp/fsm/fsm.ts";
import type { OpenMessage, UpdateMessage } from "../../../../src/bgp/wire/message.ts";
import type { Asn } from "../../../../src/lib/asn.ts";

const config: FsmConfig = {
  localAs: 64512 as Asn,
  remoteAs: 64513 as Asn,
  localRouterId: 0x0a000001,
  passive: false,
  holdSeconds: 90,
  connectRetrySeconds: 5,
  families: [4],
};
const passive: FsmConfig = { ...config, passive: true };

const open: OpenMessage = {
  kind: "open",
  asn: 64513 as Asn,
  holdSeconds: 60,
  routerId: 0x0a000002,
  capabilities: [],
};
const restartable: OpenMessage = {
  ...open,
  capabilities: [
    {
      kind: "gracefulRestart",
      restarting: false,
      restartSeconds: 120,
      families: [{ afi: 1, safi: 1, forwarding: true }],
    },
  ],
};
const update: UpdateMessage = { kind: "update", withdrawn: [], announced: [], endOfRib: [4] };
const noData = new Uint8Array(0);

/** A session that got to `state`, with what it knows then. */
function at(state: FsmState, peerOpen: OpenMessage = open): Fsm {
  const knows = state === "OpenConfirm" || state === "Established";
  const timers = { holdSeconds: knows ? 60 : 0, keepaliveSeconds: knows ? 20 : 0 };
  return { ...initialFsm, state, ...(knows ? { open: peerOpen } : {}), ...timers };
}

const stop: FsmEvent = { kind: "stop", ceaseSubcode: 2, quiet: false };
const start: FsmEvent = { kind: "start", passive: false };
const expired = (timer: "connectRetry" | "hold" | "keepalive" | "idleHold"): FsmEvent => ({
  kind: "timerExpired",
  timer,
});
const opened = (changes: Partial<OpenMessage> = {}): FsmEvent => ({
  kind: "openReceived",
  open: { ...open, ...changes },
});
const tcpFailed: FsmEvent = { kind: "tcpFailed", reason: "reset" };
const fault: FsmEvent = {
  kind: "fault",
  notification: { code: 1, subcode: 2, data: noData },
  reason: "bad length",
};
const notification: FsmEvent = {
  kind: "notificationReceived",
  notification: { code: 6, subcode: 2, data: noData },
};
const keepalive: FsmEvent = { kind: "keepaliveReceived" };
const updated: FsmEvent = { kind: "updateReceived", update };
const refreshed: FsmEvent = { kind: "refreshReceived", afi: 1, safi: 1 };

const failing = (words: string) => `-connectRetry -hold -keepalive ${words} idleHold=0.25`;

/** RFC 4271 section 8.2.2: state, [event number] event, next state, effects as words. */
const rows: readonly (readonly [
  from: FsmState | Fsm,
  number: string,
  event: FsmEvent,
  to: FsmState,
  effects: string,
  config?: FsmConfig,
])[] = [
  // Idle
  ["Idle", "1, 3", start, "Connect", "-idleHold connectRetry=5 connect"],
  ["Idle", "4, 5", start, "Active", "-idleHold", passive],
  ["Idle", "4, 5", { kind: "start", passive: true }, "Active", "-idleHold"],
  ["Idle", "13", expired("idleHold"), "Connect", "-idleHold connectRetry=5 connect"],
  ["Idle", "13", expired("idleHold"), "Active", "-idleHold", passive],
  ["Idle", "2, 8", stop, "Idle", "-idleHold"],
  ["Idle", "9", expired("connectRetry"), "Idle", ""],
  ["Idle", "18", tcpFailed, "Idle", ""],
  ["Idle", "27", updated, "Idle", ""],
  // Connect
  ["Connect", "1, 3", start, "Connect", ""],
  ["Connect", "2, 8", stop, "Idle", "-connectRetry -hold -keepalive close"],
  ["Connect", "9", expired("connectRetry"), "Connect", "close connectRetry=5 connect"],
  ["Connect", "16, 17", { kind: "tcpConnected" }, "OpenSent", "-connectRetry open hold=240"],
  ["Connect", "18", tcpFailed, "Active", "-hold -keepalive close connectRetry=5"],
  ["Connect", "26", keepalive, "Idle", failing("close")],
  ["Connect", "10", expired("hold"), "Idle", failing("close")],
  // Active
  ["Active", "1, 3", start, "Active", ""],
  ["Active", "2, 8", stop, "Idle", "-connectRetry -hold -keepalive close"],
  ["Active", "9", expired("connectRetry"), "Connect", "connectRetry=5 connect"],
  ["Active", "9", expired("connectRetry"), "Active", "", passive],
  ["Active", "16, 17", { kind: "tcpConnected" }, "OpenSent", "-connectRetry open hold=240"],
  ["Active", "25", notification, "Idle", failing("close")],
  // OpenSent
  ["OpenSent", "1, 3", start, "OpenSent", ""],
  ["OpenSent", "2, 8", stop, "Idle", "-connectRetry -hold -keepalive notify=6/2 close"],
  ["OpenSent", "2, 8", { ...stop, quiet: true }, "Idle", "-connectRetry -hold -keepalive close"],
  ["OpenSent", "10", expired("hold"), "Idle", failing("notify=4/0 close")],
  ["OpenSent", "18", tcpFailed, "Active", "-hold -keepalive close connectRetry=5"],
  ["OpenSent", "18", tcpFailed, "Active", "-hold -keepalive close", passive],
  ["OpenSent", "19", opened(), "OpenConfirm", "keepalive hold=60 keepalive=20"],
  ["OpenSent", "19", opened({ holdSeconds: 180 }), "OpenConfirm", "keepalive hold=90 keepalive=30"],
  ["OpenSent", "19", opened({ holdSeconds: 3 }), "OpenConfirm", "keepalive hold=3 keepalive=1"],
  ["OpenSent", "19", opened({ holdSeconds: 0 }), "OpenConfirm", "keepalive -hold"],
  [
    "OpenSent",
    "19",
    opened(),
    "OpenConfirm",
    "keepalive hold=60 keepalive=7",
    { ...config, keepaliveSeconds: 7 },
  ],
  [
    "OpenSent",
    "19",
    opened(),
    "OpenConfirm",
    "keepalive hold=60 keepalive=20",
    { ...config, keepaliveSeconds: 40 },
  ],
  ["OpenSent", "21", fault, "Idle", failing("notify=1/2 close")],
  ["OpenSent", "22", opened({ asn: 1 as Asn }), "Idle", failing("notify=2/2 close")],
  [
    "OpenSent",
    "22",
    opened({ asn: 0 as Asn }),
    "Idle",
    failing("notify=2/2 close"),
    { ...config, remoteAs: 0 as Asn },
  ],
  ["OpenSent", "22", opened({ holdSeconds: 1 }), "Idle", failing("notify=2/6 close")],
  ["OpenSent", "22", opened({ holdSeconds: 2 }), "Idle", failing("notify=2/6 close")],
  ["OpenSent", "22", opened({ routerId: 0 }), "Idle", failing("notify=2/3 close")],
  [
    "OpenSent",
    "22, RFC 6286",
    opened({ routerId: 0x0a000001 }),
    "OpenConfirm",
    "keepalive hold=60 keepalive=20",
  ],
  [
    "OpenSent",
    "22, RFC 6286",
    opened({ routerId: 0x0a000001 }),
    "Idle",
    failing("notify=2/3 close"),
    { ...config, localAs: 64513 as Asn },
  ],
  [
    "OpenSent",
    "22, RFC 5492",
    opened(),
    "Idle",
    failing("notify=2/7 close"),
    { ...config, families: [6] },
  ],
  ["OpenSent", "23", { kind: "collisionLost" }, "Idle", failing("notify=6/7 close")],
  ["OpenSent", "24, 25", notification, "Idle", failing("close")],
  ["OpenSent", "26", keepalive, "Idle", failing("notify=5/1 close")],
  ["OpenSent", "27", updated, "Idle", failing("notify=5/1 close")],
  // OpenConfirm
  ["OpenConfirm", "1, 3", start, "OpenConfirm", ""],
  ["OpenConfirm", "2, 8", stop, "Idle", "-connectRetry -hold -keepalive notify=6/2 close"],
  ["OpenConfirm", "10", expired("hold"), "Idle", failing("notify=4/0 close")],
  ["OpenConfirm", "11", expired("keepalive"), "OpenConfirm", "keepalive keepalive=20"],
  ["OpenConfirm", "18", tcpFailed, "Idle", failing("close")],
  ["OpenConfirm", "19", opened(), "Idle", failing("notify=5/2 close")],
  ["OpenConfirm", "21", fault, "Idle", failing("notify=1/2 close")],
  ["OpenConfirm", "23", { kind: "collisionLost" }, "Idle", failing("notify=6/7 close")],
  ["OpenConfirm", "25", notification, "Idle", failing("close")],
  ["OpenConfirm", "26", keepalive, "Established", "hold=60 established"],
  ["OpenConfirm", "27", updated, "Idle", failing("notify=5/2 close")],
  // Established
  ["Established", "1, 3", start, "Established", ""],
  ["Established", "2, 8", stop, "Idle", "-connectRetry -hold -keepalive notify=6/2 close down"],
  [
    "Established",
    "2, 8",
    { ...stop, quiet: true },
    "Idle",
    "-connectRetry -hold -keepalive close down",
  ],
  ["Established", "9", expired("connectRetry"), "Idle", failing("notify=5/3 close down")],
  ["Established", "10", expired("hold"), "Idle", failing("notify=4/0 close down")],
  ["Established", "11", expired("keepalive"), "Established", "keepalive keepalive=20"],
  ["Established", "18", tcpFailed, "Idle", failing("close down")],
  [
    at("Established", restartable),
    "18, RFC 4724 4.2",
    tcpFailed,
    "Idle",
    failing("close down-graceful"),
  ],
  [
    at("Established", restartable),
    "10, RFC 4724 4.2",
    expired("hold"),
    "Idle",
    failing("notify=4/0 close down"),
  ],
  [at("Established", restartable), "25, RFC 4724 4.2", notification, "Idle", failing("close down")],
  [
    at("Established", restartable),
    "RFC 4724 5",
    { kind: "replaced" },
    "Active",
    "-connectRetry -hold -keepalive close down-graceful",
  ],
  ["Established", "19", opened(), "Idle", failing("notify=5/3 close down")],
  ["Established", "21", fault, "Idle", failing("notify=1/2 close down")],
  ["Established", "23", { kind: "collisionLost" }, "Idle", failing("notify=6/7 close down")],
  ["Established", "25", notification, "Idle", failing("close down")],
  ["Established", "26", keepalive, "Established", "hold=60"],
  ["Established", "27", updated, "Established", "hold=60 deliver"],
  ["Established", "RFC 2918", refreshed, "Established", "hold=60 refresh"],
];

suite("step", () => {
  for (const [from, number, event, to, effects, given = config] of rows) {
    const fsm = typeof from === "string" ? at(from) : from;
    test(`${fsm.state} [${number}] ${describe(event)} leads to ${to}: ${effects}`, () => {
      const [next, done] = step(fsm, event, given);
      assert.equal(next.state, to);
      assert.equal(done.map(word).join(" "), effects);
      if (to !== "OpenConfirm" && to !== "Established") assert.equal(next.open, undefined);
    });
  }

  test("failures add up until a session is stable, and a stop forgets them", () => {
    let fsm: Fsm = { ...at("OpenSent"), failures: 3 };
    [fsm] = step(fsm, notification, config);
    assert.equal(fsm.failures, 4);
    const [confirmed] = step({ ...at("OpenConfirm"), failures: 4 }, keepalive, config);
    assert.equal(confirmed.failures, 4);
    assert.equal(step(confirmed, keepalive, config)[0].failures, 0);
    assert.equal(step(confirmed, stop, config)[0].failures, 0);
  });

  test("a session without keepalives needs no KEEPALIVE to be stable", () => {
    const confirmed = { ...at("OpenConfirm"), failures: 4, holdSeconds: 0, keepaliveSeconds: 0 };
    const [fsm, effects] = step(confirmed, keepalive, config);
    assert.deepEqual([fsm.failures, effects.map(word)], [0, ["established"]]);
  });

  test("idleHoldSeconds() doubles from a quarter of a second to a minute", () => {
    assert.deepEqual([1, 2, 3, 8, 9, 50].map(idleHoldSeconds), [0.25, 0.5, 1, 32, 60, 60]);
  });
});

function describe(event: FsmEvent): string {
  return event.kind === "timerExpired" ? `${event.timer} timer` : event.kind;
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
    case "down":
      return effect.graceful ? "down-graceful" : "down";
    default:
      return effect.kind;
  }
}
