import type { PolicyCase } from "./policy-case.ts";

/** What the API of policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy says, and facts 2.6. */

interface Written {
  readonly tier: "Admin" | "Baseline";
  readonly priority?: number;
  /** The inside of a YAML flow map. */
  readonly spec: string;
  readonly name?: string;
}

function policy({ tier, priority = 10, spec, name = "p" }: Written): string {
  return `
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: ${name}}
spec: {tier: ${tier}, priority: ${priority}, ${spec}}
---`;
}

function namespacePolicy(spec: string): string {
  return `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np, namespace: prod}
spec: {${spec}}
---`;
}

const production = "subject: {namespaces: {matchLabels: {env: production}}}";
const server =
  "subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: server}}}}";
const anyNamespace = "{namespaces: {}}";
const development = "{namespaces: {matchLabels: {env: development}}}";
const clients = "{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: client}}}}";
const developmentClients =
  "{pods: {namespaceSelector: {matchLabels: {env: development}}, podSelector: {matchLabels: {app: client}}}}";
const denyAll = `ingress: [{action: Deny, from: [${anyNamespace}]}]`;

const admin: readonly PolicyCase[] = [
  {
    says: "subject.namespaces: the policy applies to all pods in the selected namespaces",
    manifests: policy({ tier: "Admin", spec: `${production}, ${denyAll}` }),
    passes: ["client -> dev tcp/80", "outside -> server tcp/80"],
    drops: ["client -> server tcp/80", "dev -> other udp/53"],
  },
  {
    says: "subject.pods: the policy applies to the selected pods in the selected namespaces",
    manifests: policy({ tier: "Admin", spec: `${server}, ${denyAll}` }),
    passes: ["client -> other tcp/80"],
    drops: ["client -> server tcp/80", "dev -> server tcp/80"],
  },
  {
    says: "Accept: traffic is allowed whatever NetworkPolicies say",
    manifests:
      policy({
        tier: "Admin",
        spec: `${server}, ingress: [{action: Accept, from: [${development}]}]`,
      }) + namespacePolicy("podSelector: {}"),
    passes: ["dev -> server tcp/80"],
    drops: ["client -> server tcp/80", "dev -> other tcp/80"],
  },
  {
    says: "Deny: traffic is denied whatever NetworkPolicies allow",
    manifests:
      policy({ tier: "Admin", spec: `${server}, ingress: [{action: Deny, from: [${clients}]}]` }) +
      namespacePolicy("podSelector: {}, ingress: [{}]"),
    passes: ["other -> server tcp/80"],
    drops: ["client -> server tcp/80", "dev -> server tcp/80"],
  },
  {
    says: "Pass: traffic skips the other policies of the Admin tier, NetworkPolicies decide",
    manifests:
      policy({
        tier: "Admin",
        priority: 1,
        spec: `${server}, ingress: [{action: Pass, from: [${clients}]}]`,
      }) +
      policy({ tier: "Admin", priority: 2, spec: `${server}, ${denyAll}`, name: "later" }) +
      namespacePolicy(
        "podSelector: {matchLabels: {app: server}}, ingress: [{ports: [{port: 80}]}]",
      ),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81", "other -> server tcp/80"],
  },
  {
    says: "Traffic that no rule matches goes on to NetworkPolicies, and without these it is allowed",
    manifests: policy({
      tier: "Admin",
      spec: `${server}, ingress: [{action: Accept, from: [${development}]}]`,
    }),
    passes: ["dev -> server tcp/80", "client -> server tcp/80", "outside -> server tcp/80"],
  },
  {
    says: "priority: policies with lower values are evaluated first",
    manifests:
      policy({ tier: "Admin", priority: 20, spec: `${server}, ${denyAll}`, name: "a" }) +
      policy({
        tier: "Admin",
        priority: 10,
        spec: `${server}, ingress: [{action: Accept, from: [${clients}]}]`,
        name: "b",
      }),
    passes: ["client -> server tcp/80"],
    drops: ["other -> server tcp/80"],
  },
  {
    says: "The order of rules decides: the first that matches",
    manifests: policy({
      tier: "Admin",
      spec: `${server}, ingress: [{action: Deny, from: [${developmentClients}]}, {action: Accept, from: [${clients}]}, {action: Deny, from: [${anyNamespace}]}]`,
    }),
    passes: ["client -> server tcp/80"],
    drops: ["dev -> server tcp/80", "other -> server tcp/80"],
  },
  {
    says: "protocols: tcp, udp and sctp with a port or a range",
    manifests: policy({
      tier: "Admin",
      spec: `${server}, ingress: [{action: Deny, from: [${anyNamespace}], protocols: [{tcp: {destinationPort: {number: 80}}}, {udp: {destinationPort: {range: {start: 50, end: 60}}}}, {sctp: {destinationPort: {number: 81}}}]}]`,
    }),
    passes: ["client -> server tcp/81", "client -> server udp/61", "client -> server sctp/80"],
    drops: [
      "client -> server tcp/80",
      "client -> server udp/50",
      "client -> server udp/60",
      "client -> server sctp/81",
    ],
  },
  {
    says: "egress to pods, and to networks of both families",
    manifests: policy({
      tier: "Admin",
      spec: `${production}, egress: [{action: Accept, to: [${development}]}, {action: Deny, to: [{networks: [192.168.1.1/32, "2001:db8:1::1/128"]}, ${anyNamespace}]}]`,
    }),
    passes: ["client -> dev tcp/80", "client -> outside.2 tcp/80", "dev -> server tcp/80"],
    drops: ["client -> server tcp/80", "client -> outside tcp/80"],
  },
];

const baseline: readonly PolicyCase[] = [
  {
    says: "Baseline rules decide what no NetworkPolicy selects",
    manifests: policy({ tier: "Baseline", spec: `${production}, ${denyAll}` }),
    passes: ["client -> dev tcp/80", "outside -> server tcp/80"],
    drops: ["client -> server tcp/80"],
  },
  {
    says: "Baseline rules are not asked where a NetworkPolicy selects the pod",
    manifests:
      policy({ tier: "Baseline", spec: `${production}, ${denyAll}` }) +
      namespacePolicy(
        "podSelector: {matchLabels: {app: server}}, ingress: [{ports: [{port: 80}]}]",
      ),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81", "client -> other tcp/80"],
  },
  {
    says: "Admin comes before Baseline",
    manifests:
      policy({ tier: "Baseline", priority: 1, spec: `${production}, ${denyAll}` }) +
      policy({
        tier: "Admin",
        priority: 1000,
        spec: `${server}, ingress: [{action: Accept, from: [${clients}]}]`,
        name: "admin",
      }),
    passes: ["client -> server tcp/80", "dev -> server tcp/80"],
    drops: ["other -> server tcp/80", "server -> client tcp/80"],
  },
];

export const clusterCases: readonly PolicyCase[] = [...admin, ...baseline];
