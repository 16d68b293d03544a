import assert from "node:assert/strict";
import { test } from "node:test";
import type { FilterRule, PeerPolicy } from "../../../../src/bgp/policy/peer-policy.ts";
import { why, whyNot } from "../../../../src/bgp/speaker/explain.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { type Host, Network } from "./network.ts";
import { plainSpeaker } from "./plain.ts";

const [teller, hearer, third] = ["192.168.1.1", "192.168.1.2", "192.168.1.3"];
const blocks = ["10.1.0.0/24", "10.2.0.0/24"].map(parsePrefix);

/** `teller` of AS 65001 originates two blocks; `hearer` of AS 65002 passes them on to `third`. */
class Line {
  readonly network: Network = new Network();
  readonly teller: Host;
  readonly hearer: Host;
  readonly third: Host;

  constructor() {
    this.teller = this.network.add("teller", teller);
    this.hearer = this.network.add("hearer", hearer);
    this.third = this.network.add("third", third);
    this.third.post({
      kind: "configured",
      config: plainSpeaker({ address: third, asn: 65002 }, [{ address: hearer, asn: 65002 }]),
    });
    this.tellWith({});
    this.hearWith({});
    this.network.connect();
  }

  tellWith(policy: Partial<PeerPolicy>): void {
    const peer = { address: hearer, asn: 65002, policy };
    const own = { address: teller, asn: 65001 };
    const config = plainSpeaker(own, [peer], { originated: blocks });
    this.teller.post({ kind: "configured", config });
    this.network.settle();
  }

  hearWith(policy: Partial<PeerPolicy>): void {
    const peers = [
      { address: teller, asn: 65001, policy },
      { address: third, asn: 65002, policy: { nextHopMode: "Self" as const } },
    ];
    const config = plainSpeaker({ address: hearer, asn: 65002 }, peers);
    this.hearer.post({ kind: "configured", config });
    this.network.settle();
  }

  pathAt(host: Host, prefix = "10.1.0.0/24") {
    return why(host.speaker, parsePrefix(prefix))?.paths[0];
  }
}

const rejectTen1: FilterRule = {
  match: { prefix: parsePrefix("10.1.0.0/16"), operator: "in" },
  action: "reject",
};
const filters = (...rules: readonly FilterRule[]) => [{ name: "edge", rules }];

test("An import filter takes a route away and gives it back without a word to its sender", () => {
  const line = new Line();
  assert.equal(line.hearer.routeTo("10.1.0.0/24"), `via ${teller}`);
  line.teller.sent.length = 0;
  line.hearWith({ importFilters: filters(rejectTen1) });
  assert.equal(line.hearer.routeTo("10.1.0.0/24"), undefined);
  assert.equal(line.hearer.routeTo("10.2.0.0/24"), `via ${teller}`);
  assert.deepEqual(line.hearer.verdicts("10.1.0.0/24"), {
    Static_192_168_1_1: "rejected: filter edge rule 1",
  });
  assert.equal(line.third.routeTo("10.1.0.0/24"), undefined);
  line.hearWith({});
  assert.equal(line.hearer.routeTo("10.1.0.0/24"), `via ${teller}`);
  assert.equal(line.third.routeTo("10.1.0.0/24"), `via ${hearer}`);
  assert.equal(line.teller.sent.length, 0);
});

test("An import filter's operations change what is used and what is told", () => {
  const line = new Line();
  const operations = [
    { kind: "setLocalPref", localPref: 300 },
    { kind: "addCommunity", community: 77 },
  ] as const;
  line.hearWith({ importFilters: filters({ action: "accept", operations }) });
  for (const host of [line.hearer, line.third]) {
    const { attributes, verdict } = line.pathAt(host) ?? {};
    assert.deepEqual(
      [attributes?.localPref, attributes?.communities, verdict],
      [300, [77], "best"],
    );
  }
  line.hearWith({});
  assert.equal(line.pathAt(line.third)?.attributes.localPref, 100);
  // Nothing that the filter made is left.
  assert.equal(line.hearer.speaker.attributes.size, new Line().hearer.speaker.attributes.size);
});

test("An export filter withdraws and announces at the change of configuration", () => {
  const line = new Line();
  line.tellWith({ exportFilters: filters(rejectTen1) });
  assert.equal(line.hearer.routeTo("10.1.0.0/24"), undefined);
  assert.equal(line.hearer.routeTo("10.2.0.0/24"), `via ${teller}`);
  const asked = whyNot(line.teller.speaker, parsePrefix("10.1.0.0/24"), "Static_192_168_1_2");
  assert.deepEqual([asked.told, asked.because], [false, "filter edge rule 1"]);
  const operations = [{ kind: "setMed", med: 7 }] as const;
  line.tellWith({ exportFilters: filters({ action: "accept", operations }) });
  assert.equal(line.pathAt(line.hearer)?.attributes.med, 7);
  assert.equal(line.pathAt(line.hearer, "10.2.0.0/24")?.attributes.med, 7);
});
