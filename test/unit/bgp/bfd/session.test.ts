import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import { type BfdPacket, type BfdState, bfdStates } from "../../../../src/bgp/bfd/packet.ts";
import {
  type BfdEffect,
  type BfdEvent,
  type BfdSession,
  type BfdTimers,
  detectionMs,
  newSession,
  step,
} from "../../../../src/bgp/bfd/session.ts";

const timers: BfdTimers = { minTxUs: 300_000, minRxUs: 300_000, multiplier: 3 };

const fromPeer: BfdPacket = {
  diagnostic: 0,
  state: "Down",
  poll: false,
  final: false,
  controlPlaneIndependent: false,
  demand: false,
  detectMultiplier: 4,
  myDiscriminator: 77,
  yourDiscriminator: 5,
  desiredMinTxUs: 200_000,
  requiredMinRxUs: 500_000,
  requiredMinEchoRxUs: 0,
};

const received = (changes: Partial<BfdPacket> = {}): BfdEvent => ({
  kind: "received",
  packet: { ...fromPeer, ...changes },
});

function run(session: BfdSession, ...events: BfdEvent[]): BfdSession {
  return events.reduce((each, event) => step(each, event)[0], session);
}

/** A session that got to `state` with the peer's parameters above; no Poll runs. */
function at(state: BfdState, own: BfdTimers = timers): BfdSession {
  const fresh = newSession(5, own);
  switch (state) {
    case "AdminDown":
      return run(fresh, { kind: "disabled" });
    case "Down":
      return fresh;
    case "Init":
      return run(fresh, received());
    case "Up":
      return run(fresh, received({ state: "Init" }), received({ state: "Up", final: true }));
  }
}

/** Effects as words: "Up!" is a change, "Up/P" a packet sent, "tx=225-300" and "rx=1200" timers. */
function words(effects: readonly BfdEffect[]): string {
  return effects.map(word).join(" ");
}

function word(effect: BfdEffect): string {
  switch (effect.kind) {
    case "send": {
      const { state, poll, final } = effect.packet;
      return `${state}${poll ? "/P" : ""}${final ? "/F" : ""}`;
    }
    case "startTransmit":
      return `tx=${Math.round(effect.leastMs)}-${Math.round(effect.mostMs)}`;
    case "startDetection":
      return `rx=${effect.ms}`;
    case "stopTransmit":
      return "-tx";
    case "stopDetection":
      return "-rx";
    case "changed":
      return `${effect.session.state}!`;
  }
}

/** RFC 5880 section 6.8.6, every state and every state received: next state, diagnostic, effects. */
const rows: readonly (readonly [
  from: BfdState,
  heard: BfdState,
  to: BfdState,
  diagnostic: number,
  effects: string,
])[] = [
  ["AdminDown", "AdminDown", "AdminDown", 7, ""],
  ["AdminDown", "Down", "AdminDown", 7, ""],
  ["AdminDown", "Init", "AdminDown", 7, ""],
  ["AdminDown", "Up", "AdminDown", 7, ""],
  ["Down", "AdminDown", "Down", 0, "rx=1200"],
  ["Down", "Down", "Init", 0, "rx=1200 Init! Init tx=750-1000"],
  ["Down", "Init", "Up", 0, "rx=1200 Up! Up/P tx=375-500"],
  ["Down", "Up", "Down", 0, "rx=1200"],
  ["Init", "AdminDown", "Down", 3, "rx=1200 Down! Down tx=750-1000"],
  ["Init", "Down", "Init", 0, "rx=1200"],
  ["Init", "Init", "Up", 0, "rx=1200 Up! Up/P tx=375-500"],
  ["Init", "Up", "Up", 0, "rx=1200 Up! Up/P tx=375-500"],
  ["Up", "AdminDown", "Down", 3, "rx=1200 Down! Down tx=750-1000"],
  ["Up", "Down", "Down", 3, "rx=1200 Down! Down tx=750-1000"],
  ["Up", "Init", "Up", 0, "rx=1200"],
  ["Up", "Up", "Up", 0, "rx=1200"],
];

suite("the BFD state machine", () => {
  for (const [from, heard, to, diagnostic, effects] of rows) {
    test(`${from} that hears ${heard} is ${to}`, () => {
      const [next, given] = step(at(from), received({ state: heard }));
      assert.equal(next.state, to);
      assert.equal(next.diagnostic, diagnostic);
      assert.equal(words(given), effects);
      assert.equal(next.remote.discriminator, 77);
    });
    test(`a Poll in ${from} with state ${heard} is answered at once, but by AdminDown`, () => {
      const [next, given] = step(at(from), received({ state: heard, poll: true }));
      const finals = given.filter((each) => each.kind === "send");
      assert.equal(words(finals), from === "AdminDown" ? "" : `${next.state}/F`);
    });
  }

  const expiries: readonly (readonly [
    from: BfdState,
    to: BfdState,
    diagnostic: number,
    effects: string,
  ])[] = [
    ["AdminDown", "AdminDown", 7, "-rx"],
    ["Down", "Down", 0, "-rx"],
    ["Init", "Down", 1, "-rx Down! Down tx=750-1000"],
    ["Up", "Down", 1, "-rx Down! Down tx=750-1000"],
  ];
  for (const [from, to, diagnostic, effects] of expiries) {
    test(`${from} after the Detection Time is ${to} and has forgotten the peer`, () => {
      const [next, given] = step(at(from), { kind: "detectionTimer" });
      assert.equal(next.state, to);
      assert.equal(next.diagnostic, diagnostic);
      assert.equal(next.remote.discriminator, 0);
      assert.equal(next.remote.minRxUs, 1);
      assert.equal(words(given), effects);
    });
  }

  for (const state of bfdStates) {
    test(`${state} can be disabled and enabled (section 6.8.16)`, () => {
      const [disabled, effects] = step(at(state), { kind: "disabled" });
      assert.equal(disabled.state, "AdminDown");
      assert.equal(disabled.diagnostic, 7);
      assert.equal(/AdminDown! AdminDown tx=/.test(words(effects)), state !== "AdminDown");
      const [enabled] = step(disabled, { kind: "enabled" });
      assert.equal(enabled.state, "Down");
    });
  }

  test("enabled changes nothing but AdminDown", () => {
    assert.deepEqual(step(at("Up"), { kind: "enabled" }), [at("Up"), []]);
  });
});

suite("BFD packets that are sent", () => {
  test("the first packet knows no peer and is slow", () => {
    const [, effects] = step(newSession(5, timers), { kind: "start" });
    assert.equal(words(effects), "Down tx=750-1000");
    assert.deepEqual(packetOf(effects), {
      ...fromPeer,
      detectMultiplier: 3,
      myDiscriminator: 5,
      yourDiscriminator: 0,
      desiredMinTxUs: 1_000_000,
      requiredMinRxUs: 300_000,
    });
  });

  test("in Up they say what is configured and the peer's discriminator", () => {
    const [, effects] = step(at("Up"), { kind: "transmitTimer" });
    const { yourDiscriminator, desiredMinTxUs, state } = packetOf(effects);
    assert.deepEqual(
      { yourDiscriminator, desiredMinTxUs, state },
      {
        yourDiscriminator: 77,
        desiredMinTxUs: 300_000,
        state: "Up",
      },
    );
  });

  const paces: readonly (readonly [
    name: string,
    own: Partial<BfdTimers>,
    peer: Partial<BfdPacket>,
    effects: string,
  ])[] = [
    ["the slower of our wish and the peer's", {}, {}, "Up tx=375-500"],
    ["our own", { minTxUs: 600_000 }, {}, "Up tx=450-600"],
    ["90 % at most with a multiplier of 1", { multiplier: 1 }, {}, "Up tx=375-450"],
    ["never, as the peer wants none", {}, { requiredMinRxUs: 0 }, "-tx"],
    ["never, as the peer is in Demand mode", {}, { demand: true }, "-tx"],
  ];
  for (const [name, own, peer, effects] of paces) {
    test(`the interval is ${name}`, () => {
      const session = run(at("Up", { ...timers, ...own }), received({ state: "Up", ...peer }));
      assert.equal(words(step(session, { kind: "transmitTimer" })[1]), effects);
    });
  }

  test("a peer in Demand mode still gets packets while it is not Up", () => {
    const session = run(at("Up"), received({ state: "Init", demand: true }));
    assert.equal(words(step(session, { kind: "transmitTimer" })[1]), "Up tx=375-500");
  });

  test("the peer's new interval counts at once", () => {
    const [, effects] = step(at("Up"), received({ state: "Up", requiredMinRxUs: 50_000 }));
    assert.equal(words(effects), "rx=1200 tx=225-300");
  });

  test("a peer that asked for silence and is gone gets packets again (section 6.8.18)", () => {
    const silent = run(at("Up"), received({ state: "Up", requiredMinRxUs: 0 }));
    const [, effects] = step(silent, { kind: "detectionTimer" });
    assert.equal(words(effects), "-rx Down! Down tx=750-1000");
    const down = run(newSession(5, timers), received({ state: "AdminDown", requiredMinRxUs: 0 }));
    assert.equal(words(step(down, { kind: "detectionTimer" })[1]), "-rx tx=750-1000");
  });

  test("the Detection Time is the peer's multiplier by the slower of both", () => {
    const ms = (own: Partial<BfdTimers>, desiredMinTxUs: number) =>
      detectionMs(run(at("Up", { ...timers, ...own }), received({ state: "Up", desiredMinTxUs })));
    assert.equal(ms({}, 200_000), 1200);
    assert.equal(ms({}, 400_000), 1600);
    assert.equal(ms({ minRxUs: 700_000 }, 400_000), 2800);
  });
});

suite("BFD Poll Sequences", () => {
  const configured = (changes: Partial<BfdTimers>): BfdEvent => ({
    kind: "configured",
    timers: { ...timers, ...changes },
  });
  const final = received({ state: "Up", final: true });

  test("one runs from Up until the Final", () => {
    const up = run(at("Init"), received({ state: "Init" }));
    assert.equal(words(step(up, { kind: "transmitTimer" })[1]), "Up/P tx=375-500");
    const [told] = step(up, final);
    assert.equal(words(step(told, { kind: "transmitTimer" })[1]), "Up tx=375-500");
  });

  test("none is needed where Up is as slow as before", () => {
    const slow = { ...timers, minTxUs: 1_000_000 };
    const [, effects] = step(at("Init", slow), received({ state: "Init" }));
    assert.equal(words(effects), "rx=1200 Up! Up tx=750-1000");
  });

  test("a slower transmission counts after the Final only", () => {
    const [asking, effects] = step(at("Up"), configured({ minTxUs: 900_000 }));
    assert.equal(words(effects), "Up/P tx=375-500");
    assert.equal(packetOf(effects).desiredMinTxUs, 900_000);
    assert.equal(words(step(asking, final)[1]), "rx=1200 tx=675-900");
  });

  test("a faster transmission counts at once", () => {
    const session = run(at("Up"), received({ state: "Up", requiredMinRxUs: 1000 }));
    assert.equal(words(step(session, configured({ minTxUs: 100_000 }))[1]), "Up/P tx=75-100");
  });

  test("a shorter Detection Time counts after the Final only", () => {
    const [asking, effects] = step(at("Up"), configured({ minRxUs: 100_000 }));
    assert.equal(packetOf(effects).requiredMinRxUs, 100_000);
    assert.equal(detectionMs(asking), 1200);
    assert.equal(detectionMs(run(asking, final)), 800);
  });

  test("a longer Detection Time counts at once", () => {
    assert.equal(detectionMs(run(at("Up"), configured({ minRxUs: 400_000 }))), 1600);
  });

  test("a change while one runs makes a second one", () => {
    const asking = run(
      at("Up"),
      configured({ minTxUs: 900_000 }),
      configured({ minTxUs: 800_000 }),
    );
    const [again, effects] = step(asking, final);
    assert.equal(words(effects), "rx=1200");
    assert.equal(words(step(again, { kind: "transmitTimer" })[1]), "Up/P tx=375-500");
    assert.equal(words(step(again, final)[1]), "rx=1200 tx=600-800");
  });

  test("only the multiplier changed: no Poll", () => {
    const [next, effects] = step(at("Up"), configured({ multiplier: 5 }));
    assert.equal(words(effects), "");
    assert.equal(packetOf(step(next, { kind: "transmitTimer" })[1]).detectMultiplier, 5);
  });

  test("outside Up a change counts at once and without a Poll", () => {
    const [next, effects] = step(at("Init"), configured({ minTxUs: 2_000_000, minRxUs: 1000 }));
    assert.equal(words(effects), "Init tx=1500-2000");
    assert.equal(next.rxUs, 1000);
  });

  test("one goes to a peer in Demand mode as well, and ends with the Final", () => {
    const demand = { state: "Up", demand: true } as const;
    const quiet = run(at("Up"), received(demand));
    const [asking, effects] = step(quiet, configured({ minTxUs: 400_000 }));
    assert.equal(words(effects), "Up/P tx=375-500");
    assert.equal(words(step(asking, received({ ...demand, final: true }))[1]), "rx=1200 -tx");
  });

  test("leaving Up ends it", () => {
    const [, effects] = step(run(at("Up"), configured({ minTxUs: 400_000 })), received());
    assert.equal(words(effects), "rx=1200 Down! Down tx=750-1000");
  });
});

suite("BFD sessions, whatever happens", () => {
  const packet = fc.record(
    {
      state: fc.constantFrom(...bfdStates),
      poll: fc.boolean(),
      final: fc.boolean(),
      demand: fc.boolean(),
      detectMultiplier: fc.integer({ min: 1, max: 255 }),
      desiredMinTxUs: fc.integer({ min: 0, max: 2_000_000 }),
      requiredMinRxUs: fc.constantFrom(0, 1, 300_000, 2_000_000),
    },
    { noNullPrototype: true },
  );
  const event: fc.Arbitrary<BfdEvent> = fc.oneof(
    packet.map((each) => received(each)),
    packet.map((each) => received(each)),
    fc.constantFrom<BfdEvent>(
      { kind: "transmitTimer" },
      { kind: "detectionTimer" },
      { kind: "disabled" },
      { kind: "enabled" },
      { kind: "configured", timers: { minTxUs: 50_000, minRxUs: 900_000, multiplier: 1 } },
      { kind: "configured", timers: { minTxUs: 3_000_000, minRxUs: 50_000, multiplier: 9 } },
    ),
  );

  test("no packet has Poll and Final, none is fast outside Up, jitter is within bounds", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        let session = newSession(5, timers);
        for (const each of events) {
          const [next, effects] = step(session, each);
          session = next;
          for (const effect of effects) check(effect, session);
        }
      }),
    );
  });

  test("two sessions that hear each other come Up, wherever they were", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        let a = run(newSession(5, timers), ...events, { kind: "enabled" });
        let b = newSession(77, timers);
        for (let i = 0; i < 6; i++) {
          const fromA = packetOf(step(a, { kind: "transmitTimer" })[1], a);
          b = run(b, { kind: "received", packet: fromA });
          a = run(a, {
            kind: "received",
            packet: packetOf(step(b, { kind: "transmitTimer" })[1], b),
          });
        }
        assert.deepEqual([a.state, b.state], ["Up", "Up"]);
      }),
    );
  });
});

function check(effect: BfdEffect, session: BfdSession): void {
  if (effect.kind === "send") {
    const { packet } = effect;
    assert.ok(!(packet.poll && packet.final));
    assert.ok(packet.state === "Up" || packet.desiredMinTxUs >= 1_000_000);
    assert.equal(packet.myDiscriminator, 5);
  }
  if (effect.kind === "startTransmit") {
    const ms = Math.max(session.txUs, session.remote.minRxUs) / 1000;
    assert.ok(effect.leastMs >= ms * 0.75 - 1e-6);
    assert.ok(effect.mostMs <= ms * (session.timers.multiplier === 1 ? 0.9 : 1) + 1e-6);
  }
}

/** The packet among the effects; of a session that keeps silent, what it would say. */
function packetOf(effects: readonly BfdEffect[], session?: BfdSession): BfdPacket {
  const sent = effects.find((effect) => effect.kind === "send");
  if (sent !== undefined) return sent.packet;
  assert.ok(session !== undefined);
  const awake = { ...session, remote: { ...session.remote, minRxUs: 1, demand: false } };
  return packetOf(step(awake, { kind: "transmitTimer" })[1]);
}
