import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { rowText } from "../../../../src/cli/policy/denials.ts";
import type { LocalEndpoint } from "../../../../src/felix/calc/updates.ts";
import { DenialLimiter } from "../../../../src/felix/denials/denial-limiter.ts";
import { type Denial, DenialLog, denialOf } from "../../../../src/felix/denials/denial-log.ts";
import type { DeniedLabels } from "../../../../src/felix/metrics/felix-counters.ts";
import type { NflogPacket } from "../../../../src/kernel/nflog.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { LogTail } from "../../../../src/lib/log-tail.ts";
import { FakeClock } from "../../../support/fake-clock.ts";

describe("DenialLimiter", () => {
  test("tells of a key twice, then every 10 s with the count of the others", () => {
    const limiter = new DenialLimiter();
    const told = [0, 1, 2, 3, 9_999, 10_001, 10_002].map((now) => limiter.take("a", now));
    assert.deepEqual(told, [0, 0, undefined, undefined, undefined, 3, undefined]);
    assert.equal(limiter.take("b", 10_003), 0);
  });

  test("tells of 200 keys at once, then of 20 a second", () => {
    const limiter = new DenialLimiter();
    const at = (now: number) => {
      const keys = Array.from({ length: 30_000 }, (_, i) => `${now} ${i}`);
      return keys.filter((key) => limiter.take(key, now) !== undefined).length;
    };
    assert.deepEqual([at(0), at(1000), at(1500)], [200, 20, 10]);
  });

  test("remembers 10,000 keys: who was not seen for longest begins anew", () => {
    const limiter = new DenialLimiter();
    const keys = Array.from({ length: 9_999 }, (_, i) => `${i}`);
    for (const key of ["a", "a", "b", "b"]) limiter.take(key, 0);
    for (const key of keys) limiter.take(key, 0);
    assert.deepEqual([limiter.take("b", 1000), limiter.take("a", 1000)], [undefined, 0]);
  });
});

const packet: NflogPacket = {
  group: 1,
  prefix: "DPI|default",
  source: "10.0.0.1" as never,
  destination: "fd00::2" as never,
  protocol: 6,
  destinationPort: 443,
};
const endpoint: LocalEndpoint = {
  interfaceName: "calia",
  addresses: ["fd00::2" as never],
  tiers: [
    { name: "other", defaultAction: "Deny", ingress: ["np/shop/x"], egress: [] },
    { name: "default", defaultAction: "Deny", ingress: ["np/shop/web"], egress: ["np/shop/x"] },
  ],
  profiles: [],
  allowedSourcePrefixes: [],
  floating: [],
};
const policy = {
  tier: "default",
  shortKind: "np",
  namespace: "shop",
  name: "web",
  selector: "all()",
  types: [],
  ingress: [],
  egress: [],
} as const;
const context = {
  policies: new Map([
    ["np/shop/web", policy],
    ["np/shop/x", { ...policy, name: "x" }],
  ]),
  profiles: new Map(),
  endpoints: new Map([["shop/node--a-k8s-web-eth0", endpoint]]),
};
const time = new Date("2026-01-02T03:04:05.678Z");

describe("denialOf()", () => {
  test("names the workload, and at the end of a tier its policies there", () => {
    assert.deepEqual(denialOf(packet, context, { suppressed: 7, time }), {
      time: "2026-01-02T03:04:05.678Z",
      direction: "ingress",
      by: "end of tier",
      tier: "default",
      source: "10.0.0.1",
      destination: "fd00::2",
      protocol: "tcp",
      port: 443,
      workload: "shop/node--a-k8s-web-eth0",
      policies: ["NetworkPolicy shop/web"],
      suppressed: 7,
    });
  });

  test("knows nothing of what another program logs", () => {
    const other = { ...packet, prefix: "ulogd" };
    assert.equal(denialOf(other, context, { suppressed: 0, time }), undefined);
  });
});

test("tortie policy denials writes a line each", () => {
  const denial = denialOf(packet, context, { suppressed: 7, time }) as Denial;
  const of = "2026-01-02T03:04:05.678Z 10.0.0.1 -> [fd00::2]:443 tcp: ingress";
  assert.equal(
    rowText(denial),
    `${of} of shop/node--a-k8s-web-eth0: end of tier default after NetworkPolicy shop/web (and 7 before it)`,
  );
  const rule = denialOf({ ...packet, prefix: "DPE3|np/shop/x" }, context, { suppressed: 0, time });
  assert.match(rowText(rule as Denial), /egress: rule 3 of NetworkPolicy shop\/x, tier default$/);
  assert.equal(rowText({ missed: 3 }), "3 more were not read in time");
});

test("DenialLog counts each packet of policy's, also those that are not told one by one", () => {
  const counted: DeniedLabels[] = [];
  const denials = new DenialLog(() => context, {
    log: createLogger({ name: "felix", level: "silent" }),
    clock: new FakeClock(),
    tail: new LogTail(),
    onDenied: (labels) => counted.push(labels),
  });
  denials.onPackets(Array.from({ length: 5 }, () => packet));
  denials.onPackets([{ ...packet, prefix: "somebody else's" }]);
  const labels = { direction: "ingress", tier: "default", policy: "" };
  assert.deepEqual(counted, [labels, labels, labels, labels, labels]);
});
