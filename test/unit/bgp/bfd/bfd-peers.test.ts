import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Bfd, BfdChange, BfdSessionConfig } from "../../../../src/bgp/bfd/bfd.ts";
import { BfdPeers } from "../../../../src/bgp/bfd/bfd-peers.ts";
import type { Negotiated, PeerConfig, PeerEvent } from "../../../../src/bgp/peer/peer.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import type { Prefix } from "../../../../src/lib/prefix.ts";

const us = "10.0.0.1" as IpAddr;
const them = "10.0.0.2" as IpAddr;
const bfd = { minReceiveMs: 300, minTransmitMs: 300, multiplier: 3, multihop: false };

const peer = (changes: Partial<PeerConfig> = {}): PeerConfig => ({
  name: "tor",
  address: them,
  port: 179,
  remoteAs: 64512 as Asn,
  localAs: 64512 as Asn,
  localRouterId: 1,
  passive: false,
  holdSeconds: 90,
  connectRetrySeconds: 5,
  families: [4],
  gracefulRestartSeconds: 120,
  bfd,
  ...changes,
});

const established = (name = "tor"): PeerEvent => {
  const negotiated = { localAddress: us, peerAddress: them } as Negotiated;
  return { kind: "established", name, negotiated };
};
const down: PeerEvent = { kind: "down", name: "tor", reason: "Hold timer expired", graceful: true };

function setUp() {
  let sessions: readonly BfdSessionConfig[] = [];
  let tell: (change: BfdChange) => void = () => assert.fail("nobody listens");
  const resets: string[] = [];
  const fake: Bfd = {
    configure: (configs) => {
      sessions = configs;
    },
    onChange: (handler) => {
      tell = handler;
    },
    status: () => [],
  };
  const peers = new BfdPeers(fake, (name, subcode, message) =>
    resets.push(`${name} ${subcode} ${message}`),
  );
  return {
    peers,
    resets,
    paths: () => sessions.map(({ local, peer, zone = "" }) => `${local} ${peer}${zone}`),
    change: (state: BfdChange["state"], key = `${us} ${them}`) =>
      tell({ key, state, reason: "Control Detection Time Expired" }),
  };
}

suite("BFD for BGP peers", () => {
  test("a peer whose local address is configured is watched at once", () => {
    const { peers, paths } = setUp();
    peers.configure([peer({ localAddress: us })]);
    assert.deepEqual(paths(), [`${us} ${them}`]);
  });

  test("another one when it is Established, and on while BGP is down", () => {
    const { peers, paths } = setUp();
    peers.configure([peer()]);
    assert.deepEqual(paths(), []);
    peers.handle(established());
    assert.deepEqual(paths(), [`${us} ${them}`]);
    peers.handle(down);
    peers.configure([peer(), peer({ name: "other", address: "10.0.0.3" as IpAddr })]);
    assert.deepEqual(paths(), [`${us} ${them}`]);
  });

  test("none that has no BFD, is shut down, or is gone", () => {
    const { peers, paths } = setUp();
    const { bfd: _, ...plain } = peer({ localAddress: us });
    peers.configure([plain, peer({ localAddress: us, shutdown: { message: "" } })]);
    assert.deepEqual(paths(), []);
    peers.configure([peer()]);
    peers.handle(established());
    peers.configure([]);
    assert.deepEqual(paths(), []);
    peers.configure([peer()]);
    assert.deepEqual(paths(), [], "its address is not known any more");
  });

  test("a path that fails ends the Established session with Cease/BFD Down", () => {
    const { peers, resets, change } = setUp();
    peers.configure([peer()]);
    peers.handle(established());
    change("up");
    change("down");
    assert.deepEqual(resets, ["tor 10 BFD session down: Control Detection Time Expired"]);
  });

  for (const state of ["up", "disabled", "unknown"] as const) {
    test(`"${state}" ends nothing`, () => {
      const { peers, resets, change } = setUp();
      peers.configure([peer()]);
      peers.handle(established());
      change(state);
      assert.deepEqual(resets, []);
    });
  }

  test("a session that is not Established is left alone", () => {
    const { peers, resets, change } = setUp();
    peers.configure([peer({ localAddress: us })]);
    change("down");
    peers.handle(established());
    peers.handle(down);
    change("down");
    assert.deepEqual(resets, []);
  });

  test("only the peers of the path that failed, all of them, and they share one BFD session", () => {
    const { peers, resets, paths, change } = setUp();
    const other = peer({ name: "other", address: "10.0.0.3" as IpAddr });
    const sameRouter = peer({ name: "tor port 1790", port: 1790 });
    peers.configure([peer(), other, sameRouter]);
    for (const name of ["tor", "other", "tor port 1790"]) peers.handle(established(name));
    assert.equal(paths().length, 2);
    change("down");
    assert.deepEqual(
      resets.map((each) => each.split(" 10 ")[0]),
      ["tor", "tor port 1790"],
    );
  });

  test("dynamic neighbours are watched while they are there", () => {
    const { peers, resets, paths, change } = setUp();
    const config = peer({ name: "dynamic" });
    peers.handle({ kind: "dynamicAdded", config, prefix: "10.0.0.0/24" as Prefix });
    peers.handle(established("dynamic"));
    peers.configure([]);
    assert.deepEqual(paths(), [`${us} ${them}`]);
    change("down");
    assert.equal(resets.length, 1);
    peers.handle({ kind: "dynamicRemoved", name: "dynamic" });
    assert.deepEqual(paths(), []);
  });

  test("link-local peers of two interfaces are two paths", () => {
    const { peers, paths } = setUp();
    const address = "fe80::1" as IpAddr;
    const localAddress = "fe80::2" as IpAddr;
    peers.configure([
      peer({ address, localAddress, zone: "eth0" }),
      peer({ name: "second", address, localAddress, zone: "eth1" }),
    ]);
    assert.deepEqual(paths(), ["fe80::2 fe80::1eth0", "fe80::2 fe80::1eth1"]);
  });
});
