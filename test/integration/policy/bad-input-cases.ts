import { calico, globalPolicy, policy, toServer } from "./calico-manifests.ts";
import type { PolicyCase } from "./policy-case.ts";

/** What no validation let in, and what is as long as it may be: the rest goes on, what is unknown fails closed. */

const allow80 = "{action: Allow, protocol: TCP, destination: {ports: [80]}}";
const longLabel = "l".repeat(63);
const longName = `${`${"n".repeat(63)}.`.repeat(3)}${"n".repeat(61)}`;
const longPort = "p".repeat(128);
const longAccount = "a".repeat(253);

function ignored(kind: string, name: string): RegExp {
  return new RegExp(`"kind":"${kind}",("namespace":"[^"]*",)?"name":"${name}".*"resource ignored"`);
}

export const badInputCases: readonly PolicyCase[] = [
  {
    says: "A policy whose selector cannot be read is ignored and said, others are enforced",
    manifests: toServer(allow80),
    stored: policy(
      "selector: app ==, types: [Ingress], ingress: [{action: Allow}]",
      "bad-selector",
    ),
    logs: ignored("NetworkPolicy", "bad-selector"),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81"],
  },
  {
    says: "A rule with ports of a protocol that has none: its policy is ignored and said",
    manifests: toServer(allow80),
    stored: policy(
      "order: 1, selector: app == 'server', types: [Ingress], ingress: [{action: Allow, protocol: ICMP, destination: {ports: [80]}}]",
      "bad-ports",
    ),
    logs: ignored("NetworkPolicy", "bad-ports"),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server icmp/echo"],
  },
  {
    says: "A set with an address that is none lets nobody in",
    manifests: toServer("{action: Allow, source: {selector: role == 'friend'}}"),
    stored: calico(
      "NetworkSet",
      "name: bad-set, namespace: prod, labels: {role: friend}",
      "nets: [10.0.0.3/32, 10.0.0.300/32]",
    ),
    logs: ignored("NetworkSet", "bad-set"),
    drops: ["client -> server tcp/80"],
  },
  {
    says: "A pod whose addresses cannot be read is cut off, others are not",
    manifests: "",
    changes: { "WorkloadEndpoint/prod/node--a-k8s-server-eth0": { ipNetworks: ["10.0.0.300/32"] } },
    logs: ignored("WorkloadEndpoint", "node--a-k8s-server-eth0"),
    passes: ["client -> other tcp/80"],
    drops: ["server -> other tcp/80"],
  },
  {
    says: "A profile that cannot be read denies",
    manifests: "",
    changes: { "Profile/kns.dev": { ingress: [{ action: "Alow" }] } },
    logs: ignored("Profile", "kns.dev"),
    passes: ["client -> server tcp/80"],
    drops: ["client -> dev tcp/80", "dev -> client tcp/80"],
  },
  {
    says: "A host endpoint that cannot be read is ignored and said",
    manifests: "",
    stored: calico(
      "HostEndpoint",
      "name: bad-host",
      "node: node-a, interfaceName: this-is-too-long-a-name",
    ),
    logs: ignored("HostEndpoint", "bad-host"),
    passes: ["outside -> host tcp/80"],
  },
  {
    says: "Names, label values, ports and accounts of the greatest length",
    manifests:
      calico("Tier", `name: ${longLabel}`, "order: 1, defaultAction: Deny") +
      globalPolicy(
        `tier: ${longLabel}, selector: app == 'server', types: [Ingress], ingress: [{action: Pass, source: {selector: who == '${longLabel}'}}]`,
        `${longLabel}.${longLabel}`,
      ) +
      `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ${longName}, namespace: prod}
spec: {podSelector: {matchLabels: {app: server}}, ingress: [{ports: [{port: 80}]}]}
---` +
      calico(
        "NetworkSet",
        `name: ${longName}, namespace: prod, labels: {who: ${longLabel}}`,
        'nets: [10.0.0.3/32, "fd00:10::3/128"]',
      ),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81", "other -> server tcp/80"],
  },
  {
    says: "Names of ports and accounts of the greatest length, that nobody has, let nobody in",
    manifests: toServer(
      `{action: Allow, protocol: TCP, destination: {ports: [${longPort}]}}, {action: Allow, source: {serviceAccounts: {names: [${longAccount}]}}}, ${allow80}`,
    ),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81"],
  },
];
