import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { FsmConfig, FsmEvent } from "../../../../src/bgp/fsm/events.ts";
import type { Fsm, FsmState } from "../../../../src/bgp/fsm/fsm.ts";
import { step } from "../../../../src/bgp/fsm/step.ts";
import {
  connectRetrySeconds,
  idleHoldSeconds,
  sendHoldSeconds,
} from "../../../../src/bgp/fsm/timers.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import {
  at,
  config,
  events,
  expired,
  notification,
  opened,
  restartable,
  words,
} from "./fsm-fixture.ts";

const passive: FsmConfig = { ...config, passive: true };
const internal: FsmConfig = { ...config, localAs: 64513 as Asn };
const delaying: FsmConfig = { ...config, delayOpenSeconds: 3 };
const noRestart: FsmConfig = { ...config, gracefulRestartSeconds: 0 };
const event = (name: string): FsmEvent => events[name] as FsmEvent;
const hardReset = notification(6, 9, Uint8Array.of(6, 2));

/** What the table leaves out: other configurations, other values. State, event, next, effects. */
const rows: readonly (readonly [
  from: FsmState | Fsm,
  why: string,
  event: FsmEvent,
  to: FsmState,
  effects: string,
  config?: FsmConfig,
])[] = [
  ["Idle", "passive", event("1 start"), "Active", "-idleHold", passive],
  ["Idle", "passive", expired("idleHold"), "Active", "-idleHold", passive],
  ["Active", "passive", expired("connectRetry"), "Active", "", passive],
  ["Active", "passive", event("18 TCP failed"), "Active", "stop close", passive],
  ["OpenSent", "passive", event("18 TCP failed"), "Active", "stop close", passive],
  [
    "Connect",
    "DelayOpen",
    event("16 TCP connected"),
    "Connect",
    "-connectRetry delayOpen=3",
    delaying,
  ],
  [
    "Active",
    "DelayOpen",
    event("16 TCP connected"),
    "Active",
    "-connectRetry delayOpen=3",
    delaying,
  ],
  [
    "OpenSent",
    "longer hold time",
    opened({ holdSeconds: 180 }),
    "OpenConfirm",
    "keepalive hold=90 keepalive=30",
  ],
  ["OpenSent", "hold 3", opened({ holdSeconds: 3 }), "OpenConfirm", "keepalive hold=3 keepalive=1"],
  ["OpenSent", "hold 0", opened({ holdSeconds: 0 }), "OpenConfirm", "keepalive -hold"],
  [
    "OpenSent",
    "own keepalive",
    opened(),
    "OpenConfirm",
    "keepalive hold=60 keepalive=7",
    { ...config, keepaliveSeconds: 7 },
  ],
  [
    "OpenSent",
    "own keepalive too long",
    opened(),
    "OpenConfirm",
    "keepalive hold=60 keepalive=20",
    { ...config, keepaliveSeconds: 40 },
  ],
  ["OpenSent", "wrong AS", opened({ asn: 1 as Asn }), "Idle", "fail notify=2/2"],
  [
    "OpenSent",
    "AS 0 (RFC 7607)",
    opened({ asn: 0 as Asn }),
    "Idle",
    "fail notify=2/2",
    { ...config, remoteAs: 0 as Asn },
  ],
  ["OpenSent", "hold 2", opened({ holdSeconds: 2 }), "Idle", "fail notify=2/6"],
  ["OpenSent", "id 0", opened({ routerId: 0 }), "Idle", "fail notify=2/3"],
  [
    "OpenSent",
    "our id (RFC 6286)",
    opened({ routerId: config.localRouterId }),
    "OpenConfirm",
    "keepalive hold=60 keepalive=20",
  ],
  [
    "OpenSent",
    "our id in our AS (RFC 6286)",
    opened({ routerId: config.localRouterId }),
    "Idle",
    "fail notify=2/3",
    internal,
  ],
  [
    "OpenSent",
    "no family in common (RFC 5492)",
    opened(),
    "Idle",
    "fail notify=2/7",
    { ...config, families: [6] },
  ],
  [
    at("Established", restartable(false)),
    "GR, TCP ends",
    event("18 TCP failed"),
    "Idle",
    "fail down-graceful",
  ],
  [
    at("Established", restartable(false)),
    "GR, replaced",
    event("replaced"),
    "Active",
    "stop close down-graceful",
  ],
  [
    at("Established", restartable(false)),
    "GR, hold timer",
    expired("hold"),
    "Idle",
    "fail notify=4/0 down",
  ],
  [
    at("Established", restartable(false)),
    "GR, NOTIFICATION",
    event("25 NOTIFICATION"),
    "Idle",
    "fail down",
  ],
  [
    at("Established", restartable(false)),
    "GR, stop",
    event("2 stop"),
    "Idle",
    "stop notify=6/2 close down",
  ],
  [
    at("Established", restartable(true)),
    "N bit, NOTIFICATION",
    event("25 NOTIFICATION"),
    "Idle",
    "fail down-graceful",
  ],
  [
    at("Established", restartable(true)),
    "N bit, not ours",
    event("25 NOTIFICATION"),
    "Idle",
    "fail down",
    noRestart,
  ],
  [at("Established", restartable(true)), "N bit, Hard Reset", hardReset, "Idle", "fail down"],
  [
    at("Established", restartable(true)),
    "N bit, hold timer",
    expired("hold"),
    "Idle",
    "fail notify=4/0 down-graceful",
  ],
  [
    at("Established", restartable(true)),
    "N bit, stop",
    event("2 stop"),
    "Idle",
    "stop notify=6/9 close down",
  ],
  [
    at("Established", restartable(true)),
    "N bit, reset",
    event("8 reset"),
    "Idle",
    "fail notify=6/4 down-graceful",
  ],
  [
    at("Established", restartable(true)),
    "N bit, max-prefix",
    { kind: "reset", ceaseSubcode: 1 },
    "Idle",
    "fail notify=6/9 down",
  ],
  [
    at("Established", restartable(false)),
    "graceful restart",
    event("8 stop quietly"),
    "Idle",
    "stop close down",
  ],
  [
    at("Established", restartable(true)),
    "graceful restart of the peer alone",
    event("8 stop quietly"),
    "Idle",
    "stop notify=6/2 close down",
    noRestart,
  ],
  [
    at("OpenConfirm", restartable(true)),
    "N bit, not yet",
    event("2 stop"),
    "Idle",
    "stop notify=6/2 close",
  ],
];

suite("step()", () => {
  for (const [from, why, given, to, effects, settings = config] of rows) {
    const fsm = typeof from === "string" ? at(from) : from;
    test(`${fsm.state}, ${why}: ${given.kind} leads to ${to}: ${effects}`, () => {
      const [next, done] = step(fsm, given, settings);
      assert.equal(next.state, to);
      assert.equal(words(done), effects);
    });
  }

  test("failures add up, each keepalive interval Established forgives one, a stop all", () => {
    let fsm: Fsm = { ...at("OpenSent"), failures: 3 };
    [fsm] = step(fsm, notification(6, 8), config);
    assert.equal(fsm.failures, 4);
    const [up] = step({ ...at("OpenConfirm"), failures: 4 }, event("26 KEEPALIVE"), config);
    assert.equal(step(up, event("26 KEEPALIVE"), config)[0].failures, 4);
    assert.equal(step(up, expired("keepalive"), config)[0].failures, 3);
    assert.equal(step(up, event("2 stop"), config)[0].failures, 0);
  });

  test("a Cease of people is no failure: the peer may come back, and we try as after a refusal", () => {
    const waits: (string | undefined)[] = [];
    let fsm: Fsm = { ...at("OpenSent"), failures: 9, connectRetries: 1 };
    for (let i = 0; i < 5; i++) {
      const [idle, effects] = step({ ...fsm, state: "OpenSent" }, notification(6, 5), config);
      assert.deepEqual([idle.state, idle.failures, idle.admitsPeer], ["Idle", 9, true]);
      waits.push(words(effects).split("idleHold=")[1]);
      fsm = idle;
    }
    assert.deepEqual(waits, ["0.5", "1", "2", "4", "5"]);
    assert.equal(step(fsm, event("4 start passive"), config)[0].admitsPeer, false);
  });

  test("the first failures in a row let the peer come back at once", () => {
    const admits = [0, 1, 2, 3, 4].map(
      (failures) => step({ ...at("Established"), failures }, event("18 TCP failed"), config)[0],
    );
    assert.deepEqual(
      admits.map(({ admitsPeer }) => admitsPeer),
      [true, true, true, false, false],
    );
  });

  test("a session without keepalives is forgiven when it is Established", () => {
    const confirmed = { ...at("OpenConfirm"), failures: 4, holdSeconds: 0, keepaliveSeconds: 0 };
    const [fsm, effects] = step(confirmed, event("26 KEEPALIVE"), config);
    assert.deepEqual([fsm.failures, words(effects)], [0, "established"]);
  });

  test("refused connects are tried again after ever longer, until one is Established", () => {
    const waits: string[] = [];
    let fsm = step(at("Idle"), event("1 start"), config)[0];
    for (let i = 0; i < 7; i++) {
      const [next, effects] = step(fsm, event("18 TCP failed"), config);
      waits.push(words(effects).replace("stop close connectRetry=", ""));
      fsm = step(next, expired("connectRetry"), config)[0];
    }
    assert.deepEqual(waits, ["0.25", "0.5", "1", "2", "4", "5", "5"]);
    const [up] = step({ ...at("OpenConfirm"), connectRetries: 7 }, event("26 KEEPALIVE"), config);
    assert.equal(up.connectRetries, 0);
  });

  test("a connect without an answer says so, and that a key may be the reason", () => {
    const reason = (settings: FsmConfig) =>
      step(at("Connect"), expired("connectRetry"), settings)[0].reason;
    assert.equal(reason(config), "No answer");
    assert.equal(
      reason({ ...config, password: {} }),
      "No answer: the peer may have another TCP-MD5 key",
    );
  });
});

suite("times", () => {
  test("idleHoldSeconds() doubles from a quarter of a second to a minute", () => {
    assert.deepEqual([1, 2, 3, 8, 9, 50].map(idleHoldSeconds), [0.25, 0.5, 1, 32, 60, 60]);
  });

  test("connectRetrySeconds() never passes what is configured", () => {
    assert.equal(connectRetrySeconds(0, { ...config, connectRetrySeconds: 0.1 }), 0.1);
    assert.equal(connectRetrySeconds(2000, config), 5);
  });

  test("sendHoldSeconds() is twice the hold time, eight minutes at least (RFC 9687)", () => {
    assert.deepEqual([0, 3, 90, 300].map(sendHoldSeconds), [0, 480, 480, 600]);
  });
});
