import assert from "node:assert/strict";
import { test } from "node:test";
import { ownEncapsulationProblem, poolEncapsulation } from "../../../src/api/pool-encapsulation.ts";
import type { IPPoolSpec } from "../../../src/api/resources/ip-pool.ts";

function pool(spec: Partial<IPPoolSpec>, own?: string) {
  const annotations = own === undefined ? {} : { "tortie.dev/encapsulation": own };
  return { metadata: { name: "p", annotations }, spec: { cidr: "10.0.0.0/16", ...spec } };
}

const rows: readonly (readonly [ReturnType<typeof pool>, string])[] = [
  [pool({}), "noEncap"],
  [pool({ ipipMode: "Never", vxlanMode: "Never" }), "noEncap"],
  [pool({ ipipMode: "Always" }), "ipip"],
  [pool({ ipipMode: "CrossSubnet" }), "ipip crossSubnet"],
  [pool({ vxlanMode: "CrossSubnet" }), "vxlan crossSubnet"],
  [pool({ vxlanMode: "Always", allowedUses: ["LoadBalancer"] }), "none"],
  [pool({ vxlanMode: "Always", allowedUses: ["LoadBalancer", "Workload"] }), "vxlan"],
  [pool({}, "UDP"), "udp"],
  [pool({ ipipMode: "Never", vxlanMode: "Never" }, "UDPCrossSubnet"), "udp crossSubnet"],
  [pool({ allowedUses: ["LoadBalancer"] }, "UDP"), "none"],
  [pool({ cidr: "fd00::/48" }, "UDP"), "udp"],
  [pool({ cidr: "fd00::/48" }, "IP6IP6"), "ip6ip6"],
  [pool({ cidr: "fd00::/48" }, "SITCrossSubnet"), "sit crossSubnet"],
];

for (const [given, expected] of rows) {
  test(`the encapsulation of a pool: ${JSON.stringify([given.spec, given.metadata.annotations])}`, () => {
    const { class: poolClass, crossSubnet } = poolEncapsulation(given);
    assert.equal(poolClass + (crossSubnet ? " crossSubnet" : ""), expected);
    assert.equal(ownEncapsulationProblem(given), undefined);
  });
}

const refused: readonly (readonly [ReturnType<typeof pool>, RegExp])[] = [
  [
    pool({}, "udp"),
    /"udp": it must be one of UDP, UDPCrossSubnet, IP6IP6, IP6IP6CrossSubnet, SIT, SITCrossSubnet/,
  ],
  [pool({}, "SIT"), /"SIT": it carries IPv6 alone/],
  [pool({ cidr: "fd00::/48", vxlanMode: "Always" }, "SIT"), /must both be Never/],
  [pool({ vxlanMode: "Always" }, "UDP"), /ipipMode and vxlanMode must both be Never/],
  [pool({ ipipMode: "CrossSubnet" }, "UDP"), /ipipMode and vxlanMode must both be Never/],
];

for (const [given, message] of refused) {
  test(`a pool that cannot be carried is said so, and has no routes: ${message}`, () => {
    assert.match(ownEncapsulationProblem(given) ?? "", message);
    assert.equal(poolEncapsulation(given).class, "none");
  });
}
