import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { BfdChange, BfdSessionConfig } from "../../../../src/bgp/bfd/bfd.ts";
import { type BfdArrival, BfdEngine } from "../../../../src/bgp/bfd/engine.ts";
import { type BfdPacket, decodePacket, encodePacket } from "../../../../src/bgp/bfd/packet.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { FakeClock } from "../../../support/fake-clock.ts";

const bfd = { minReceiveMs: 300, minTransmitMs: 300, multiplier: 3, multihop: false };
const [a, b, c] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"] as IpAddr[] as [IpAddr, IpAddr, IpAddr];

/** Engines of several nodes on one link: a packet arrives at once, unless the link is cut. */
class Link {
  readonly clock = new FakeClock();
  readonly sent: { readonly from: IpAddr; readonly packet: BfdPacket; readonly atMs: number }[] =
    [];
  readonly changes: string[] = [];
  readonly #engines = new Map<IpAddr, BfdEngine>();
  readonly #waiting: (() => void)[] = [];
  isCut = false;
  /** Packets are kept until the next afterPendingReads(): the thread was busy. */
  isStalled = false;
  #discriminator = 100;

  engine(own: IpAddr): BfdEngine {
    const made = new BfdEngine({
      clock: this.clock,
      random: () => 0.5,
      newDiscriminator: () => Math.floor(this.#discriminator++ / 2),
      afterPendingReads: (callback) => {
        for (const receive of this.#waiting.splice(0)) receive();
        callback();
      },
      open: (config) => ({
        send: (bytes) => this.#carry(own, config, bytes),
        close: () => this.changes.push(`${own} closed ${config.peer}`),
      }),
      onChange: (change) => this.changes.push(words(own, change)),
    });
    this.#engines.set(own, made);
    return made;
  }

  sentBy(own: IpAddr): readonly BfdPacket[] {
    return this.sent.filter(({ from }) => from === own).map(({ packet }) => packet);
  }

  #carry(from: IpAddr, { peer, bfd: { multihop } }: BfdSessionConfig, bytes: Uint8Array): void {
    const decoded = decodePacket(bytes);
    assert.ok(decoded.ok);
    this.sent.push({ from, packet: decoded.packet, atMs: this.clock.now() });
    if (this.isCut) return;
    const arrival = { local: peer, peer: from, multihop };
    const receive = () => this.#engines.get(peer)?.receive(bytes, arrival);
    if (this.isStalled) this.#waiting.push(receive);
    else receive();
  }
}

const words = (own: IpAddr, { key, state, reason }: BfdChange) =>
  `${own}: ${key} ${state}: ${reason}`;

const session = (local: IpAddr, peer: IpAddr, changes: Partial<typeof bfd> = {}) => ({
  local,
  peer,
  bfd: { ...bfd, ...changes },
});

/** Two engines whose session is Up. */
function upPair() {
  const link = new Link();
  const [left, right] = [link.engine(a), link.engine(b)];
  left.configure([session(a, b)]);
  right.configure([session(b, a)]);
  link.clock.advance(1000);
  assert.deepEqual(link.changes.toSorted(), [`${a}: ${a} ${b} up: Up`, `${b}: ${b} ${a} up: Up`]);
  link.changes.length = 0;
  link.sent.length = 0;
  return { link, left, right };
}

suite("BFD between two nodes", () => {
  test("it is up within a second and then sends at the configured pace, Poll answered", () => {
    const { link } = upPair();
    link.clock.advance(3000);
    const packets = link.sentBy(a);
    // 300 ms less the jitter of an eighth: 262.5 ms.
    assert.ok(packets.length >= 11 && packets.length <= 12, `${packets.length} packets in 3 s`);
    assert.ok(packets.every(({ poll, final }) => !poll && !final));
  });

  test("a cut link is down at both ends after three intervals", () => {
    const { link } = upPair();
    link.isCut = true;
    link.clock.advance(600);
    assert.equal(link.changes.length, 0);
    link.clock.advance(300);
    assert.deepEqual(link.changes.toSorted(), [
      `${a}: ${a} ${b} down: Control Detection Time Expired`,
      `${b}: ${b} ${a} down: Control Detection Time Expired`,
    ]);
    link.isCut = false;
    link.clock.advance(1000);
    assert.equal(link.changes.filter((each) => each.endsWith("up: Up")).length, 2);
  });

  test("packets that waited while the thread was busy count before the time is over", () => {
    const { link } = upPair();
    link.isStalled = true;
    link.clock.jump(5000);
    link.isStalled = false;
    assert.deepEqual(link.changes, []);
    link.clock.advance(5000);
    assert.deepEqual(link.changes, []);
  });

  test("what one end alone sees, the other is told with the reason", () => {
    const { link, left } = upPair();
    link.clock.advance(300);
    left.receive(encodePacket({ ...link.sentBy(b)[0]!, state: "Down", diagnostic: 5 }), {
      local: a,
      peer: b,
      multihop: false,
    });
    const peer = "Neighbor Signaled Session Down";
    assert.deepEqual(link.changes.slice(0, 2), [
      `${a}: ${a} ${b} down: ${peer} (peer: Path Down)`,
      `${b}: ${b} ${a} down: ${peer} (peer: ${peer})`,
    ]);
  });

  test("a session that is taken away tells the peer that it is on purpose", () => {
    const { link, left } = upPair();
    left.configure([]);
    const reason = "Neighbor Signaled Session Down (peer: Administratively Down)";
    assert.deepEqual(link.changes, [`${b}: ${b} ${a} disabled: ${reason}`]);
    assert.equal(link.sentBy(a).at(-1)?.state, "AdminDown");
    link.clock.advance(5000);
    assert.ok(link.changes.includes(`${a} closed ${b}`));
    const count = link.sentBy(a).length;
    assert.ok(count > 1, "it is told for a Detection Time");
    link.clock.advance(5000);
    assert.equal(link.sentBy(a).length, count);
  });

  test("and goes on when it is asked for again meanwhile", () => {
    const { link, left } = upPair();
    left.configure([]);
    link.clock.advance(500);
    left.configure([session(a, b)]);
    link.clock.advance(2000);
    assert.ok(link.changes.includes(`${a}: ${a} ${b} up: Up`));
    link.clock.advance(10_000);
    assert.ok(!link.changes.includes(`${a} closed ${b}`));
  });

  test("close() says a last word and leaves no timer", () => {
    const { link, left, right } = upPair();
    left.close();
    assert.equal(link.sentBy(a).at(-1)?.state, "AdminDown");
    right.close();
    assert.equal(link.clock.pendingTimers, 0);
  });

  test("changed timers are agreed on by a Poll, and the session stays up", () => {
    const { link, left } = upPair();
    left.configure([session(a, b, { minTransmitMs: 900, minReceiveMs: 900 })]);
    assert.equal(link.sentBy(a)[0]?.poll, true);
    assert.equal(link.sentBy(b)[0]?.final, true);
    link.clock.advance(5000);
    link.sent.length = 0;
    link.clock.advance(8000);
    assert.ok(link.sentBy(b).length <= 11, `${link.sentBy(b).length} packets in 8 s`);
    assert.deepEqual(link.changes, []);
  });
});

suite("whose a BFD packet is (RFC 5880 section 6.8.6)", () => {
  const packet: BfdPacket = {
    diagnostic: 0,
    state: "Down",
    poll: false,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    detectMultiplier: 3,
    myDiscriminator: 9,
    yourDiscriminator: 0,
    desiredMinTxUs: 1_000_000,
    requiredMinRxUs: 300_000,
    requiredMinEchoRxUs: 0,
  };
  const from = (peer: IpAddr, changes: Partial<BfdArrival> = {}): BfdArrival => ({
    local: a,
    peer,
    multihop: false,
    ...changes,
  });

  const rows: readonly (readonly [
    name: string,
    packet: Partial<BfdPacket>,
    arrival: BfdArrival,
    discarded: string | undefined,
  ])[] = [
    ["its addresses", {}, from(b), undefined],
    ["a stranger's address", {}, from(c), "No session has its addresses"],
    ["another address of ours", {}, from(b, { local: c }), "No session has its addresses"],
    ["another interface", {}, from(b, { zone: "eth1" }), "No session has its addresses"],
    ["the other kind's port", {}, from(b, { multihop: true }), "No session has its addresses"],
    ["our discriminator", { yourDiscriminator: 50, state: "Init" }, from(b), undefined],
    [
      "our discriminator and a new address",
      { yourDiscriminator: 50, state: "Init" },
      from(c),
      undefined,
    ],
    [
      "our discriminator at the other kind's port",
      { yourDiscriminator: 50, state: "Init" },
      from(b, { multihop: true }),
      "It came to the other kind's port",
    ],
    [
      "an unknown discriminator",
      { yourDiscriminator: 4711, state: "Init" },
      from(b),
      "No session has the discriminator 4711",
    ],
  ];
  for (const [name, changes, arrival, discarded] of rows) {
    test(`${name}: ${discarded === undefined ? "taken" : "discarded"}`, () => {
      const link = new Link();
      const engine = link.engine(a);
      engine.configure([session(a, b)]);
      const before = link.sent.length;
      const answer = engine.receive(encodePacket({ ...packet, ...changes }), arrival);
      assert.equal(answer, discarded);
      assert.equal(link.sent.length > before, discarded === undefined);
    });
  }

  test("what cannot be read is discarded with its reason", () => {
    const engine = new Link().engine(a);
    assert.match(engine.receive(new Uint8Array(3), from(b)) ?? "", /3 octets/);
  });

  test("no two sessions have one discriminator", () => {
    const link = new Link();
    // Link's generator gives each number twice.
    link.engine(a).configure([session(a, b), session(a, c), session(a, b, { multihop: true })]);
    const used = link.sent.map(({ packet: { myDiscriminator } }) => myDiscriminator);
    assert.deepEqual(used, [50, 51, 52]);
  });

  test("a session that is as before is not touched", () => {
    const { link, left } = upPair();
    left.configure([session(a, b)]);
    assert.deepEqual(link.sent, []);
  });
});
