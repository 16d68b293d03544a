import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnyResource } from "../../../../src/api/resource-of-kind.ts";
import { hostEndpoint, node, pod, policy, pool, profile } from "../../../states/resources.ts";
import { nodeTexts } from "../../../support/iptables/node-rules.ts";

/** What each parameter does to the rules of a node with a pod, a host endpoint, a policy and a pool with NAT. */

const cluster: readonly AnyResource[] = [
  node("node-a", "192.168.1.11/24"),
  pool("default", "10.0.0.0/16", { natOutgoing: true }),
  profile("kns.prod"),
  pod("a", {
    ip: "10.0.0.1/32",
    allowSpoofedSourcePrefixes: ["203.0.113.0/24"],
    ipNATs: [{ internalIP: "10.0.0.1", externalIP: "192.0.2.1" }],
  }),
  hostEndpoint("uplink", { node: "node-a", interfaceName: "eth0" }),
  policy("web", { selector: "all()", ingress: [{ action: "Log" }, { action: "Deny" }] }),
];

/** All tables of IPv4 as they are restored, without the hashes. */
async function rulesOf(spec: Readonly<Record<string, unknown>>): Promise<string> {
  const config = {
    apiVersion: "projectcalico.org/v3",
    kind: "FelixConfiguration",
    metadata: { name: "default" },
    spec,
  } as AnyResource;
  const { texts } = await nodeTexts("node-a", [...cluster, config], 4);
  return texts.join("").replaceAll(/ *-m comment --comment "cali:\S+"/g, "");
}

const rows: readonly (readonly [name: string, value: unknown, rule: RegExp])[] = [
  ["allowIPIPPacketsFromWorkloads", true, /^(?!.*IPinIP encapped packets)/s],
  ["allowVXLANPacketsFromWorkloads", true, /^(?!.*VXLAN encapped packets)/s],
  ["chainInsertMode", "Append", /^-A FORWARD --jump cali-FORWARD$/m],
  [
    "defaultEndpointToHostAction",
    "Accept",
    /^-A cali-wl-to-host .*Configured DefaultEndpointToHostAction" --jump ACCEPT$/m,
  ],
  ["disableConntrackInvalidCheck", true, /^(?!.*INVALID)/s],
  [
    "failsafeInboundHostPorts",
    [{ protocol: "TCP", port: 2222 }],
    /^-A cali-failsafe-in .*ports? 2222 --jump ACCEPT$/m,
  ],
  [
    "failsafeOutboundHostPorts",
    [{ protocol: "UDP", port: 5353, net: "10.9.0.0/16" }],
    /^-A cali-failsafe-out .*10\.9\.0\.0\/16.* --jump ACCEPT$/m,
  ],
  ["floatingIPs", "Enabled", /^-A cali-fip-dnat .*192\.0\.2\.1.*--to-destination 10\.0\.0\.1$/m],
  ["interfacePrefix", "cali,tap", /^-A cali-FORWARD .*tap\+.* cali-from-wl-dispatch$/m],
  ["natOutgoingAddress", "192.0.2.9", /^-A cali-nat-outgoing .*--to-source 192\.0\.2\.9/m],
  ["natOutgoingExclusions", "IPPoolsAndHostIPs", /^-A cali-nat-outgoing .*cali40all-hosts-net/m],
  ["natPortRange", "30000:40000", /^-A cali-nat-outgoing .*--to-ports 30000-40000/m],
  ["workloadSourceSpoofing", "Any", /^-A cali-rpf-skip .*203\.0\.113\.0\/24.* --jump ACCEPT$/m],
  ["iptablesFilterAllowAction", "Return", /^-A cali-tw-calia .*ESTABLISHED.* --jump RETURN$/m],
  ["iptablesFilterDenyAction", "Reject", /^-A cali-tw-calia .* --jump REJECT/m],
  ["iptablesMangleAllowAction", "Return", /^-A cali-PREROUTING .*ESTABLISHED.* --jump RETURN$/m],
  ["iptablesMarkMask", 0xff00, /--set-mark 0x100\/0x100$/m],
  ["iptablesNATOutgoingInterfaceFilter", "eth+", /^-A cali-nat-outgoing .*--out-interface eth\+/m],
  ["logActionRateLimit", "10/minute", /-m limit --limit 10\/minute --limit-burst 5 .*LOG/],
  ["policyDenialLogs", "Enabled", /-m limit --limit 100\/second --limit-burst 100 .*NFLOG/],
  ["logPrefix", "mine", /--log-prefix "mine/],
  ["vxlanPort", 4790, /^-A cali-fw-calia .*VXLAN encapped packets.* 4790 /m],
];

test("the other parameters of logs and denials are in the rules, too", async () => {
  const rules = await rulesOf({
    logActionRateLimit: "10/minute",
    logActionRateLimitBurst: 7,
    policyDenialLogs: "Enabled",
    policyDenialLogRateLimit: "8/hour",
    policyDenialLogRateLimitBurst: 9,
  });
  assert.match(rules, /--limit 10\/minute --limit-burst 7 .*LOG/);
  assert.match(rules, /--limit 8\/hour --limit-burst 9 .*NFLOG/);
});

const byDefault = await rulesOf({});

for (const [name, value, rule] of rows) {
  test(`${name} ${JSON.stringify(value)} is in the rules`, async () => {
    assert.ok(!rule.test(byDefault), "by default, too");
    assert.ok(rule.test(await rulesOf({ [name]: value })), `no ${rule}`);
  });
}
