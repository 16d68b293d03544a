import assert from "node:assert/strict";
import { test } from "node:test";
import { calicoApiVersion } from "../../../src/api/meta.ts";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { Explainer } from "../../../src/cli/policy/explainer.ts";
import { flowPort } from "../../../src/policy/flow.ts";
import { globalPolicy, hostEndpoint, node, pod, profile } from "../../states/resources.ts";
import { nodeTexts } from "../../support/iptables/node-rules.ts";

const deny = [{ action: "Deny", protocol: "TCP", destination: { ports: [80] } }] as const;
const cluster: readonly AnyResource[] = [
  node("node-a", "192.168.1.11/24"),
  profile("kns.prod"),
  pod("a", { ip: "10.0.0.1/32" }),
  pod("b", { ip: "10.0.0.2/32", labels: { app: "b" } }),
  globalPolicy("pods", { selector: "app == 'b'", types: ["Ingress"], ingress: [...deny] }),
  hostEndpoint("up", {
    node: "node-a",
    interfaceName: "eth0",
    expectedIPs: ["192.168.1.11"],
  }),
  globalPolicy("raw", {
    selector: "!has(app)",
    types: ["Ingress"],
    doNotTrack: true,
    applyOnForward: true,
    ingress: [{ action: "Allow", protocol: "UDP" }, ...deny],
  }),
];

/** The rule that is named for the flow, as it is written on node-a. */
async function ruleFor(from: string, to: string, denials: "Enabled" | "Disabled"): Promise<string> {
  const config = { policyDenialLogs: denials };
  const resources = [
    ...cluster,
    {
      apiVersion: calicoApiVersion,
      kind: "FelixConfiguration",
      metadata: { name: "default" },
      spec: config,
    } as AnyResource,
  ];
  const { checks } = new Explainer(resources).explain(from, to, flowPort("80/tcp"));
  const { kernel } = checks.at(-1) ?? {};
  assert.ok(kernel, JSON.stringify(checks));
  const { texts } = await nodeTexts("node-a", resources, 4);
  const text = texts.find((one) => one.startsWith(`*${kernel.table}\n`)) ?? "";
  const lines = text.split("\n");
  return lines.find((line) => line.includes(`"cali:${kernel.hash}"`)) ?? `none of\n${text}`;
}

for (const denials of ["Disabled", "Enabled"] as const) {
  test(`the rule that is named has the match, with policyDenialLogs ${denials}`, async () => {
    const match = /-p tcp -m multiport --destination-ports 80 --jump MARK --set-mark 0x40000/;
    const pods = await ruleFor("prod/a", "prod/b", denials);
    assert.match(pods, match);
    assert.match(pods, /^-A cali-pi-gnp\/pods /);
    const host = await ruleFor("8.8.8.8", "node-a", denials);
    assert.match(host, match);
    assert.match(host, /^-A cali-pi-gnp\/raw /);
  });
}
