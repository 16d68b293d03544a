import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { localOpen, negotiate, withoutCapabilities } from "../../../../src/bgp/peer/negotiate.ts";
import type { Negotiated, PeerConfig } from "../../../../src/bgp/peer/peer.ts";
import type { Capability, OpenMessage } from "../../../../src/bgp/wire/message.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";

const config: PeerConfig = {
  name: "peer",
  address: "10.0.0.2" as IpAddr,
  port: 179,
  remoteAs: 64512 as Asn,
  localAs: 64512 as Asn,
  localRouterId: 1,
  passive: false,
  holdSeconds: 90,
  connectRetrySeconds: 5,
  families: [4, 6],
  gracefulRestartSeconds: 120,
};
const session = {
  holdSeconds: 90,
  keepaliveSeconds: 30,
  localAddress: "10.0.0.1" as IpAddr,
  peerAddress: "10.0.0.2" as IpAddr,
};
const restart = { restarting: false, forwardingKept: true };
const multiprotocol4 = { kind: "multiprotocol", afi: 1, safi: 1 } as const;

function openOf(changes: Partial<PeerConfig>): OpenMessage {
  return localOpen({ ...config, ...changes }, restart);
}

/** What we agree on with a peer of these capabilities, or of this configuration. */
function agreed(
  ours: Partial<PeerConfig>,
  theirs: Partial<PeerConfig> | readonly Capability[],
): Negotiated {
  const remote = Array.isArray(theirs)
    ? { ...openOf({}), capabilities: theirs }
    : openOf(theirs as Partial<PeerConfig>);
  return negotiate({ local: openOf(ours), remote }, session);
}

function kindsOf(changes: Partial<PeerConfig>): string[] {
  return openOf(changes).capabilities.map(({ kind }) => kind);
}

suite("localOpen", () => {
  test("offers what is configured and nothing else", () => {
    assert.deepEqual(kindsOf({ families: [4] }), [
      "multiprotocol",
      "routeRefresh",
      "enhancedRouteRefresh",
      "gracefulRestart",
      "extendedMessage",
      "fourOctetAs",
    ]);
    assert.ok(!kindsOf({ extendedMessages: false }).includes("extendedMessage"));
    assert.ok(!kindsOf({ gracefulRestartSeconds: 0 }).includes("gracefulRestart"));
    assert.ok(!kindsOf({ families: [6], extendedNextHop: true }).includes("extendedNextHop"));
    assert.ok(!kindsOf({ families: [6], addPath: { 4: "both" } }).includes("addPath"));
  });

  test("says a restart, with times that fit their fields", () => {
    const seconds = { gracefulRestartSeconds: 5000, longLivedStaleSeconds: 1e9 };
    const { capabilities } = localOpen(
      { ...config, families: [6], ...seconds },
      { restarting: true, forwardingKept: false },
    );
    assert.deepEqual(
      capabilities.filter(({ kind }) => /restart/i.test(kind)),
      [
        {
          kind: "gracefulRestart",
          restarting: true,
          notification: true,
          restartSeconds: 4095,
          families: [{ afi: 2, safi: 1, forwarding: false }],
        },
        {
          kind: "longLivedGracefulRestart",
          families: [{ afi: 2, safi: 1, forwarding: false, staleSeconds: 0xffffff }],
        },
      ],
    );
    assert.ok(
      !kindsOf({ gracefulRestartSeconds: 0, longLivedStaleSeconds: 9 }).includes(
        "longLivedGracefulRestart",
      ),
    );
  });
});

suite("withoutCapabilities", () => {
  test("leaves them out where IPv4 unicast and a 2-octet AS are enough", () => {
    assert.deepEqual(withoutCapabilities(openOf({})).capabilities, []);
    for (const changes of [{ families: [6] as const }, { localAs: 70_000 as Asn }]) {
      assert.notDeepEqual(withoutCapabilities(openOf(changes)).capabilities, []);
    }
  });
});

suite("negotiate", () => {
  test("speaks IPv4 unicast, 2-octet ASes and nothing more with a peer without capabilities", () => {
    const { capabilities, ...rest } = agreed({}, []);
    assert.deepEqual(capabilities?.remote, []);
    assert.deepEqual(rest, {
      ...session,
      families: [4],
      fourOctetAs: false,
      routeRefresh: false,
      enhancedRouteRefresh: false,
      extendedMessages: false,
      extendedNextHop: false,
      peerRouterId: 1,
      peerAs: 64512,
    });
  });

  test("speaks the families of both, and not IPv4 when only others are offered", () => {
    assert.deepEqual(agreed({ families: [4] }, { families: [4, 6] }).families, [4]);
    assert.deepEqual(agreed({}, [{ ...multiprotocol4, afi: 2 }]).families, [6]);
    assert.deepEqual(agreed({}, [{ ...multiprotocol4, safi: 128 }]).families, []);
  });

  /** RFC 7911 section 4: our mode, the peer's, whether we receive, whether we send. */
  const modes = [
    ["receive", "receive", false, false],
    ["receive", "send", true, false],
    ["receive", "both", true, false],
    ["send", "receive", false, true],
    ["send", "send", false, false],
    ["send", "both", false, true],
    ["both", "receive", false, true],
    ["both", "send", true, false],
    ["both", "both", true, true],
  ] as const;
  for (const [ours, theirs, receives, sends] of modes) {
    test(`ADD-PATH: we ${ours}, the peer ${theirs}`, () => {
      const { addPath } = agreed({ addPath: { 4: ours, 6: "both" } }, { addPath: { 4: theirs } });
      assert.deepEqual(addPath, { receive: receives ? [4] : [], send: sends ? [4] : [] });
    });
  }

  test("ADD-PATH needs both", () => {
    assert.equal(agreed({ addPath: { 4: "both" } }, {}).addPath, undefined);
    assert.equal(agreed({}, { addPath: { 4: "both" } }).addPath, undefined);
  });

  test("IPv4 with IPv6 next hops needs both (RFC 8950)", () => {
    const on = { extendedNextHop: true };
    assert.equal(agreed(on, on).extendedNextHop, true);
    assert.equal(agreed(on, {}).extendedNextHop, false);
    assert.equal(agreed({}, on).extendedNextHop, false);
  });

  test("graceful restart is the peer's word, the N bit that of both (RFC 8538)", () => {
    const { gracefulRestart } = agreed({}, { gracefulRestartSeconds: 60, families: [4] });
    assert.deepEqual(gracefulRestart, {
      restarting: false,
      restartSeconds: 60,
      families: [4],
      forwardingKept: [4],
      notification: true,
    });
    const helper = agreed({ gracefulRestartSeconds: 0 }, {}).gracefulRestart;
    assert.equal(helper?.notification, false);
    assert.equal(agreed({}, { gracefulRestartSeconds: 0 }).gracefulRestart, undefined);
  });

  test("long-lived graceful restart needs both, in a family, and the short one (RFC 9494)", () => {
    const on = { longLivedStaleSeconds: 3600 };
    assert.deepEqual(agreed(on, { ...on, families: [6] }).longLivedGracefulRestart, [
      { family: 6, forwarding: true, staleSeconds: 3600 },
    ]);
    assert.equal(agreed(on, {}).longLivedGracefulRestart, undefined);
    const alone = openOf(on).capabilities.filter(({ kind }) => kind !== "gracefulRestart");
    assert.equal(agreed(on, alone).longLivedGracefulRestart, undefined);
  });
});
