import assert from "node:assert/strict";
import { test } from "node:test";
import type { PeerConfig } from "../../../../src/bgp/peer/peer.ts";
import type { PeerPolicy } from "../../../../src/bgp/policy/peer-policy.ts";
import { parseAsn } from "../../../../src/lib/asn.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { Network } from "./network.ts";
import { plainPeer, plainSpeaker } from "./plain.ts";

const [hub, one, two] = ["192.168.1.1", "192.168.1.11", "192.168.1.12"];
const prefix = parsePrefix("192.168.0.0/16");

/** A hub that takes whoever comes from a prefix, and two that have come. */
class Star {
  readonly network: Network = new Network();

  constructor() {
    for (const [name, address] of Object.entries({ hub, one, two })) {
      this.network.add(name, address);
    }
    this.configureHub({});
    for (const [name, address, block] of [
      ["one", one, "10.1.0.0/24"],
      ["two", two, "10.2.0.0/24"],
    ] as const) {
      const own = { address, asn: 65001 };
      const originated = [parsePrefix(block)];
      const config = plainSpeaker(own, [{ address: hub, asn: 65001 }], { originated });
      this.network.host(name).post({ kind: "configured", config });
      this.come(address);
    }
    this.network.connect();
  }

  configureHub(policy: Partial<PeerPolicy>): void {
    const { name: _n, address: _a, passive: _p, ...template } = this.clientOf(one);
    const peers = { prefix, template, limit: 10 };
    const config = plainSpeaker({ address: hub, asn: 65001 }, [], {
      install: false,
      dynamicPeers: [
        {
          peers,
          policy: { nextHopMode: "Auto", allowedLocalAs: 0, exportScope: "all", ...policy },
        },
      ],
    });
    this.network.host("hub").post({ kind: "configured", config });
    this.network.settle();
  }

  come(address: string): void {
    this.network.host("hub").come(this.clientOf(address), prefix);
  }

  clientOf(address: string): PeerConfig {
    const own = { address: parseIpAddr(hub), asn: parseAsn(65001), routerId: 1 };
    const peer = plainPeer({ address, asn: 65001, client: true }, own);
    return { ...peer, name: `Dynamic_${address.replaceAll(".", "_")}`, passive: true };
  }
}

test("Whoever comes from a prefix gets its policy, and its routes go with it", () => {
  const { network } = new Star();
  const [atOne, atHub] = [network.host("one"), network.host("hub")];
  assert.equal(atOne.routeTo("10.2.0.0/24"), `via ${two}`);
  const state = atHub.speaker.peers.get("Dynamic_192_168_1_12");
  assert.deepEqual([state?.peer.type, state?.peer.origin], ["Dynamic", `neighbors of ${prefix}`]);
  network.cut("hub", "two", false);
  const event = { kind: "dynamicRemoved", name: "Dynamic_192_168_1_12" } as const;
  atHub.post({ kind: "peer", event });
  network.settle();
  assert.equal(atOne.routeTo("10.2.0.0/24"), undefined);
  assert.equal(atHub.speaker.peers.get("Dynamic_192_168_1_12"), undefined);
});

test("A change of the prefix' policy reaches those that are there, on their sessions", () => {
  const star = new Star();
  const atOne = star.network.host("one");
  star.configureHub({
    exportFilters: [{ name: "quiet", rules: [{ action: "reject" }] }],
  });
  assert.equal(atOne.routeTo("10.2.0.0/24"), undefined);
  star.configureHub({});
  assert.equal(atOne.routeTo("10.2.0.0/24"), `via ${two}`);
  assert.deepEqual(star.network.host("hub").resets, []);
});

test("Somebody from a prefix that is not configured is nobody", () => {
  const star = new Star();
  const config = star.clientOf("10.0.0.1");
  const event = { kind: "dynamicAdded", config, prefix: parsePrefix("10.0.0.0/8") } as const;
  const atHub = star.network.host("hub");
  atHub.post({ kind: "peer", event });
  assert.equal(atHub.speaker.peers.get(config.name), undefined);
});

test("One from a prefix that tells too much is ended again until its time is over", () => {
  const star = new Star();
  const atHub = star.network.host("hub");
  const teardown = {
    limit: 1,
    warnPercent: 100,
    onExceed: "teardown",
    restartSeconds: 60,
  } as const;
  star.configureHub({ maxPrefixes: { 4: teardown } });
  const more = ["10.1.0.0/24", "10.1.1.0/24"].map((each) => parsePrefix(each));
  const config = plainSpeaker({ address: one, asn: 65001 }, [{ address: hub, asn: 65001 }], {
    originated: more,
  });
  star.network.host("one").post({ kind: "configured", config });
  star.network.settle();
  const name = "Dynamic_192_168_1_11";
  assert.deepEqual(atHub.resets, [`${name} 1`]);
  assert.equal(atHub.down.size, 0);
  star.network.connect();
  assert.deepEqual(atHub.resets, [`${name} 1`, `${name} 1`]);
  assert.equal(atHub.speaker.families[4].rib.adjIn.size, 1);
  atHub.post({ kind: "timerExpired", timer: `restart ${name}` });
  star.network.connect();
  assert.equal(atHub.resets.length, 3);
});
