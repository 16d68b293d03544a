import assert from "node:assert/strict";
import { test } from "node:test";
import type { MaxPrefixes } from "../../../../src/bgp/policy/peer-policy.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { type Host, Network } from "./network.ts";
import { plainSpeaker } from "./plain.ts";

const [teller, hearer] = ["192.168.1.1", "192.168.1.2"];
const name = "Static_192_168_1_1";

/** `teller` of AS 65001 tells some prefixes to `hearer` of AS 65002, which has a limit. */
class Pair {
  readonly network: Network = new Network();
  readonly teller: Host;
  readonly hearer: Host;

  constructor(limits: Partial<MaxPrefixes> = {}, filters: "reject" | undefined = undefined) {
    this.teller = this.network.add("teller", teller);
    this.hearer = this.network.add("hearer", hearer);
    this.limit(limits, filters);
    this.tell(0);
    this.network.connect();
  }

  limit(limits: Partial<MaxPrefixes>, filters: "reject" | undefined = undefined): void {
    const maxPrefixes = {
      4: { limit: 10, warnPercent: 75, onExceed: "teardown", ...limits },
    } as const;
    const importFilters =
      filters === undefined ? [] : [{ name: "f", rules: [{ action: filters }] }];
    const policy = { maxPrefixes, importFilters };
    const config = plainSpeaker({ address: hearer, asn: 65002 }, [
      { address: teller, asn: 65001, policy },
    ]);
    this.hearer.post({ kind: "configured", config });
    this.network.settle();
  }

  tell(count: number): void {
    const originated = Array.from({ length: count }, (_, i) => parsePrefix(`10.0.${i}.0/24`));
    const peers = [{ address: hearer, asn: 65002 }];
    const config = plainSpeaker({ address: teller, asn: 65001 }, peers, { originated });
    this.teller.post({ kind: "configured", config });
    this.network.settle();
  }

  get told(): string[] {
    return this.hearer.limits.map(
      ({ count, limit, exceeded }) => `${count} of ${limit}${exceeded ? " exceeded" : ""}`,
    );
  }
}

test("A peer is warned of once, and again when it has been below", () => {
  const pair = new Pair();
  pair.tell(7);
  assert.deepEqual(pair.told, []);
  pair.tell(8);
  pair.tell(9);
  pair.tell(10);
  assert.deepEqual(pair.told, ["8 of 10"]);
  pair.tell(3);
  pair.tell(8);
  assert.deepEqual(pair.told, ["8 of 10", "8 of 10"]);
  assert.deepEqual(pair.hearer.resets, []);
});

test("A peer that tells too much is ended by Cease/1 and stays down until somebody asks", () => {
  const pair = new Pair();
  pair.tell(11);
  assert.deepEqual(pair.told, ["11 of 10 exceeded"]);
  assert.deepEqual(pair.hearer.resets, [`${name} 1`]);
  assert.equal(pair.hearer.down.get(name), "max-prefix: more than 10 IPv4 prefixes");
  assert.equal(pair.hearer.timers.has(`restart ${name}`), false);
  assert.equal(pair.hearer.routes.size, 0);
  assert.equal(pair.hearer.speaker.families[4].rib.table.size, 0);
  pair.network.connect();
  assert.equal(pair.hearer.routes.size, 0);
  // Somebody asks.
  pair.hearer.down.delete(name);
  pair.tell(10);
  pair.network.connect();
  assert.equal(pair.hearer.routes.size, 10);
});

test("With a restart time it may come back after that", () => {
  const pair = new Pair({ restartSeconds: 30 });
  pair.tell(11);
  assert.equal(pair.hearer.timers.get(`restart ${name}`), 30);
  pair.hearer.post({ kind: "timerExpired", timer: `restart ${name}` });
  assert.equal(pair.hearer.down.size, 0);
  pair.tell(10);
  pair.network.connect();
  assert.equal(pair.hearer.routes.size, 10);
  assert.equal(pair.hearer.resets.length, 1);
});

test("With warn only, the session goes on", () => {
  const pair = new Pair({ onExceed: "warn" });
  pair.tell(12);
  assert.deepEqual(pair.told, ["12 of 10 exceeded"]);
  assert.equal(pair.hearer.routes.size, 12);
  assert.deepEqual(pair.hearer.resets, []);
});

test("What a filter rejects counts too", () => {
  const pair = new Pair({}, "reject");
  pair.tell(11);
  assert.deepEqual(pair.hearer.resets, [`${name} 1`]);
});

test("Another limit gives a peer that is down another try", () => {
  const pair = new Pair();
  pair.tell(11);
  pair.limit({ limit: 20 });
  assert.equal(pair.hearer.down.size, 0);
  pair.network.connect();
  assert.equal(pair.hearer.routes.size, 11);
});
