import type { PolicyCase } from "./policy-case.ts";

/** The sentences of Kubernetes' API reference of networking.k8s.io/v1 NetworkPolicy, in its order. */

/** A policy of a namespace; `spec` is the inside of a YAML flow map. */
function policy(spec: string, name = "p", namespace = "prod"): string {
  return `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ${name}, namespace: ${namespace}}
spec: {${spec}}
---`;
}

const server = "podSelector: {matchLabels: {app: server}}";
const client = "podSelector: {matchLabels: {app: client}}";
const everyPodInRange = "{cidr: 10.0.0.0/24, except: [10.0.0.4/32]}";
const everyPodInRange6 = '{cidr: "fd00:10::/120", except: ["fd00:10::4/128"]}';

const podSelector: readonly PolicyCase[] = [
  {
    says: "podSelector selects the pods to which this NetworkPolicy object applies",
    manifests: policy(server),
    passes: ["server -> other tcp/80", "client -> other tcp/80"],
    drops: ["client -> server tcp/80", "other -> server udp/53", "outside -> server tcp/80"],
  },
  {
    says: "An empty podSelector matches all pods in this namespace",
    manifests: policy("podSelector: {}"),
    passes: ["client -> dev tcp/80"],
    drops: ["dev -> client tcp/80", "dev -> server tcp/80", "client -> other udp/53"],
  },
  {
    says: "Multiple network policies can select the same set of pods: the ingress rules for each are combined additively",
    manifests:
      policy(`${server}, ingress: [{ports: [{port: 80}]}]`, "one") +
      policy(`${server}, ingress: [{ports: [{port: 81}]}]`, "two"),
    passes: ["client -> server tcp/80", "client -> server tcp/81"],
    drops: ["client -> server tcp/82"],
  },
  ...(
    [
      ["In", "{key: app, operator: In, values: [server, other]}", ["server", "other"], ["client"]],
      ["NotIn", "{key: tier, operator: NotIn, values: [back]}", ["client", "other"], ["server"]],
      ["Exists", "{key: tier, operator: Exists}", ["server", "client"], ["other"]],
      ["DoesNotExist", "{key: tier, operator: DoesNotExist}", ["other"], ["server", "client"]],
    ] as const
  ).map(
    ([operator, expression, selected, others]): PolicyCase => ({
      says: `podSelector follows standard label selector semantics: ${operator}`,
      manifests: policy(`podSelector: {matchExpressions: [${expression}]}`),
      passes: others.map((pod) => `dev -> ${pod} tcp/80`),
      drops: selected.map((pod) => `dev -> ${pod} tcp/80`),
    }),
  ),
  {
    says: "podSelector follows standard label selector semantics: all terms must match",
    manifests: policy(
      "podSelector: {matchLabels: {app: server}, matchExpressions: [{key: tier, operator: In, values: [front]}]}",
    ),
    passes: ["client -> server tcp/80"],
  },
];

const ingress: readonly PolicyCase[] = [
  {
    says: "Traffic is allowed to a pod if there are no NetworkPolicies selecting the pod",
    manifests: "",
    passes: [
      "client -> server tcp/80",
      "dev -> server udp/53",
      "outside -> server tcp/80",
      "client -> server icmp/echo",
      "client -> server icmp/other",
      "client -> server sctp/80",
      "client -> server protocol/253",
      "host -> server tcp/80",
    ],
  },
  {
    says: "OR if the traffic source is the pod's local node",
    manifests: policy(server),
    passes: ["host -> server tcp/80", "host -> server udp/53", "host -> server icmp/echo"],
    drops: ["client -> server tcp/80"],
  },
  {
    says: "OR if the traffic matches at least one ingress rule across all of the NetworkPolicy objects whose podSelector matches the pod",
    manifests:
      policy(
        `${server}, ingress: [{from: [{${client}}]}, {from: [{podSelector: {matchLabels: {app: absent}}}]}]`,
        "one",
      ) + policy("podSelector: {}", "two"),
    passes: ["client -> server tcp/80"],
    drops: ["other -> server tcp/80", "client -> other tcp/80"],
  },
  {
    says: "If ingress is empty then this NetworkPolicy does not allow any traffic",
    manifests: policy(`${server}, ingress: []`),
    passes: ["server -> client tcp/80"],
    drops: [
      "client -> server tcp/80",
      "client -> server udp/53",
      "client -> server icmp/echo",
      "client -> server sctp/80",
      "client -> server protocol/253",
    ],
  },
  {
    says: "An empty ingress rule matches all traffic",
    manifests: policy(`${server}, ingress: [{}]`),
    passes: [
      "client -> server tcp/80",
      "outside -> server udp/53",
      "client -> server protocol/253",
    ],
  },
  {
    says: "The traffic must match both ports and from",
    manifests: policy(`${server}, ingress: [{from: [{${client}}], ports: [{port: 80}]}]`),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81", "other -> server tcp/80", "other -> server tcp/81"],
  },
];

const egress: readonly PolicyCase[] = [
  {
    says: "Outgoing traffic is allowed if there are no NetworkPolicies selecting the pod",
    manifests: policy(`${server}, policyTypes: [Egress]`),
    passes: ["client -> server tcp/80", "client -> outside udp/53", "client -> outside icmp/echo"],
    drops: ["server -> client tcp/80"],
  },
  {
    says: "OR if the traffic matches at least one egress rule across all of the NetworkPolicy objects whose podSelector matches the pod",
    manifests:
      policy(`${client}, policyTypes: [Egress], egress: [{to: [{${server}}]}]`, "one") +
      policy(`${client}, policyTypes: [Egress], egress: [{ports: [{port: 81}]}]`, "two"),
    passes: ["client -> server udp/53", "client -> other tcp/81", "client -> outside tcp/81"],
    drops: ["client -> other tcp/80", "client -> outside tcp/80"],
  },
  {
    says: "If egress is empty then this NetworkPolicy limits all outgoing traffic",
    manifests: policy(`${client}, policyTypes: [Egress], egress: []`),
    passes: ["server -> client tcp/80"],
    drops: ["client -> server tcp/80", "client -> outside udp/53", "client -> host tcp/80"],
  },
  {
    says: "The traffic must match both ports and to",
    manifests: policy(
      `${client}, policyTypes: [Egress], egress: [{to: [{${server}}], ports: [{protocol: UDP, port: 53}]}]`,
    ),
    passes: ["client -> server udp/53"],
    drops: ["client -> server udp/54", "client -> other udp/53", "client -> server tcp/53"],
  },
];

const policyTypes: readonly PolicyCase[] = [
  {
    says: "policyTypes [Ingress]: the policy relates to ingress only",
    manifests: policy(`${server}, policyTypes: [Ingress], egress: [{to: [{${client}}]}]`),
    passes: ["server -> other tcp/80"],
    drops: ["client -> server tcp/80"],
  },
  {
    says: "policyTypes [Egress]: an egress-only policy",
    manifests: policy(`${server}, policyTypes: [Egress], egress: [{to: [{${client}}]}]`),
    passes: ["other -> server tcp/80", "server -> client tcp/80"],
    drops: ["server -> other tcp/80"],
  },
  {
    says: "policyTypes [Ingress, Egress]: the policy relates to both",
    manifests: policy(`${server}, policyTypes: [Ingress, Egress]`),
    drops: ["client -> server tcp/80", "server -> client tcp/80"],
  },
  {
    says: "Policies that contain an egress section are assumed to affect egress, and all policies are assumed to affect ingress",
    manifests: policy(`${server}, egress: [{to: [{${client}}]}]`),
    passes: ["server -> client tcp/80"],
    drops: ["server -> other tcp/80", "client -> server tcp/80"],
  },
  {
    says: "A policy without policyTypes and without an egress section would default to just [Ingress]",
    manifests: policy(server),
    passes: ["server -> client tcp/80"],
    drops: ["client -> server tcp/80"],
  },
];

const ports: readonly PolicyCase[] = [
  {
    says: "Each item in ports is combined using a logical OR",
    manifests: policy(
      `${server}, ingress: [{ports: [{port: 80}, {port: 82}, {protocol: UDP, port: 53}]}]`,
    ),
    passes: ["client -> server tcp/80", "client -> server tcp/82", "client -> server udp/53"],
    drops: ["client -> server tcp/81", "client -> server udp/80", "client -> server icmp/echo"],
  },
  {
    says: "If ports is empty or missing, this rule matches all ports",
    manifests: policy(`${server}, ingress: [{ports: [], from: [{${client}}]}]`),
    passes: ["client -> server tcp/9999", "client -> server udp/1", "client -> server icmp/echo"],
    drops: ["other -> server tcp/9999"],
  },
  {
    says: "protocol: if not specified, this field defaults to TCP",
    manifests: policy(`${server}, ingress: [{ports: [{port: 53}]}]`),
    passes: ["client -> server tcp/53"],
    drops: ["client -> server udp/53", "client -> server sctp/53"],
  },
  {
    says: "protocol: TCP, UDP, or SCTP",
    manifests: policy(`${server}, ingress: [{ports: [{protocol: SCTP, port: 80}]}]`),
    passes: ["client -> server sctp/80"],
    drops: ["client -> server sctp/81", "client -> server tcp/80", "client -> server udp/80"],
  },
  {
    says: "port: if this field is not provided, this matches all port names and numbers",
    manifests: policy(`${server}, ingress: [{ports: [{protocol: UDP}]}]`),
    passes: ["client -> server udp/53", "client -> server udp/9999"],
    drops: ["client -> server tcp/53"],
  },
  {
    says: "port: this can be a named port on a pod, only traffic on the specified protocol AND port will be matched",
    manifests: policy(`${server}, ingress: [{ports: [{port: web}]}]`),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81", "client -> server udp/80"],
  },
  {
    says: "port: a name of another protocol's port matches nothing",
    manifests: policy(`${server}, ingress: [{ports: [{protocol: TCP, port: ask}]}]`),
    drops: ["client -> server tcp/53", "client -> server udp/53"],
  },
  {
    says: "port: a named port of an egress rule is looked up on the destination",
    manifests: policy(`${client}, policyTypes: [Egress], egress: [{ports: [{port: web}]}]`),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81", "client -> other tcp/80"],
  },
  {
    says: "endPort: the range of ports from port to endPort, inclusive, should be allowed",
    manifests: policy(`${server}, ingress: [{ports: [{port: 8000, endPort: 8010}]}]`),
    passes: ["client -> server tcp/8000", "client -> server tcp/8005", "client -> server tcp/8010"],
    drops: ["client -> server tcp/7999", "client -> server tcp/8011", "client -> server udp/8005"],
  },
  {
    says: "The endPort must be equal or greater than port",
    manifests: policy(`${server}, ingress: [{ports: [{protocol: UDP, port: 60, endPort: 60}]}]`),
    passes: ["client -> server udp/60"],
    drops: ["client -> server udp/59", "client -> server udp/61"],
  },
  {
    says: "More ports than one match of iptables holds are all reached",
    manifests: policy(
      `${server}, ingress: [{ports: [${Array.from({ length: 24 }, (_, i) => `{port: ${1000 + 2 * i}}`)}]}]`,
    ),
    passes: ["client -> server tcp/1000", "client -> server tcp/1028", "client -> server tcp/1046"],
    drops: ["client -> server tcp/1001", "client -> server tcp/1048"],
  },
];

const peers: readonly PolicyCase[] = [
  {
    says: "Items in from are combined using a logical OR operation",
    manifests: policy(
      `${server}, ingress: [{from: [{${client}}, {namespaceSelector: {matchLabels: {env: development}}}]}]`,
    ),
    passes: ["client -> server tcp/80", "dev -> server tcp/80"],
    drops: ["other -> server tcp/80", "outside -> server tcp/80"],
  },
  {
    says: "If from is empty or missing, this rule matches all sources",
    manifests: policy(`${server}, ingress: [{from: [], ports: [{port: 80}]}]`),
    passes: ["client -> server tcp/80", "dev -> server tcp/80", "outside -> server tcp/80"],
    drops: ["client -> server tcp/81"],
  },
  {
    says: "If to is empty or missing, this rule matches all destinations",
    manifests: policy(`${client}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]`),
    passes: ["client -> server tcp/80", "client -> outside tcp/80"],
    drops: ["client -> server tcp/81"],
  },
  {
    says: "podSelector without namespaceSelector selects the pods matching in the policy's own namespace",
    manifests: policy(`${server}, ingress: [{from: [{${client}}]}]`),
    passes: ["client -> server tcp/80"],
    drops: ["dev -> server tcp/80", "other -> server tcp/80"],
  },
  {
    says: "podSelector: if present but empty, it selects all pods (of the policy's own namespace)",
    manifests: policy(`${server}, ingress: [{from: [{podSelector: {}}]}]`),
    passes: ["client -> server tcp/80", "other -> server tcp/80"],
    drops: ["dev -> server tcp/80", "outside -> server tcp/80"],
  },
  {
    says: "namespaceSelector without podSelector selects all pods in the namespaces selected",
    manifests: policy(
      `${server}, ingress: [{from: [{namespaceSelector: {matchLabels: {env: development}}}]}]`,
    ),
    passes: ["dev -> server tcp/80"],
    drops: ["client -> server tcp/80", "outside -> server tcp/80"],
  },
  {
    says: "namespaceSelector: if present but empty, it selects all namespaces",
    manifests: policy(`${server}, ingress: [{from: [{namespaceSelector: {}}]}]`),
    passes: ["client -> server tcp/80", "dev -> server tcp/80"],
    drops: ["outside -> server tcp/80"],
  },
  {
    says: "namespaceSelector and podSelector together select the pods matching both",
    manifests: policy(
      `${server}, ingress: [{from: [{namespaceSelector: {matchLabels: {env: production}}, ${client}}]}]`,
    ),
    passes: ["client -> server tcp/80"],
    drops: ["dev -> server tcp/80", "other -> server tcp/80"],
  },
  {
    says: "namespaceSelector selects by the name that every namespace has as its label",
    manifests: policy(
      `${server}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [dev]}]}}]}]`,
    ),
    passes: ["dev -> server tcp/80"],
    drops: ["client -> server tcp/80"],
  },
  {
    says: "to: pods of another namespace",
    manifests: policy(
      `${client}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {env: development}}, podSelector: {}}]}]`,
    ),
    passes: ["client -> dev tcp/80"],
    drops: ["client -> server tcp/80", "client -> outside tcp/80"],
  },
];

const ipBlock: readonly PolicyCase[] = [
  {
    says: "ipBlock: a particular CIDR that is allowed to the pods",
    manifests: policy(
      `${server}, ingress: [{from: [{ipBlock: {cidr: 192.168.1.1/32}}, {ipBlock: {cidr: "2001:db8:1::1/128"}}]}]`,
    ),
    passes: ["outside -> server tcp/80"],
    drops: ["outside.2 -> server tcp/80", "client -> server tcp/80"],
  },
  {
    says: "except: CIDRs that should not be included within an IP block",
    manifests: policy(
      `${server}, ingress: [{from: [{ipBlock: ${everyPodInRange}}, {ipBlock: ${everyPodInRange6}}]}]`,
    ),
    passes: ["client -> server tcp/80", "dev -> server udp/53"],
    drops: ["other -> server tcp/80", "outside -> server tcp/80"],
  },
  {
    says: "ipBlock as the destination of egress",
    manifests: policy(
      `${client}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.168.1.0/30}}, {ipBlock: {cidr: "2001:db8:1::/126"}}], ports: [{port: 80}]}]`,
    ),
    passes: ["client -> outside tcp/80", "client -> outside.2 tcp/80"],
    drops: ["client -> outside tcp/81", "client -> server tcp/80"],
  },
  {
    says: "ipBlock of everything, except one's own network",
    manifests: policy(
      `${client}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/16]}}, {ipBlock: {cidr: "::/0", except: ["fd00:10::/64"]}}]}]`,
    ),
    passes: ["client -> outside tcp/80", "client -> outside udp/53"],
    drops: ["client -> server tcp/80"],
  },
  {
    says: "An ipBlock of one family allows nothing of the other",
    manifests: policy(`${server}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]`),
    drops: ["client -> server tcp/80"],
    families: [6],
  },
];

export const kubernetesCases: readonly PolicyCase[] = [
  ...podSelector,
  ...ingress,
  ...egress,
  ...policyTypes,
  ...ports,
  ...peers,
  ...ipBlock,
];
