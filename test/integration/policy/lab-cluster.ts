/** What a policy lab's datastore holds while every case is there. */

/** Pods by their last number of the address, "dev" in a namespace of its name. */
export const podNumbers: readonly (readonly [pod: string, number: number])[] = [
  ["server", 2],
  ["client", 3],
  ["other", 4],
  ["dev", 5],
];

export function macOf(number: number): string {
  return `02:00:00:00:00:${hexByte(number)}`;
}

export function hexByte(value: number): string {
  return value.toString(16).padStart(2, "0");
}

interface PodOfCluster {
  readonly namespace: string;
  readonly pod: string;
  readonly interfaceName: string;
  readonly number: number;
  readonly labels: string;
  readonly account: string;
  /** More of the spec. */
  readonly more?: string;
}

function podManifest({
  namespace,
  pod,
  interfaceName,
  number,
  labels,
  account,
  more,
}: PodOfCluster) {
  return `
apiVersion: projectcalico.org/v3
kind: WorkloadEndpoint
metadata:
  name: node--a-k8s-${pod}-eth0
  namespace: ${namespace}
  labels: {${labels}, projectcalico.org/namespace: ${namespace}, projectcalico.org/orchestrator: k8s,
    projectcalico.org/serviceaccount: ${account}}
spec:
  {orchestrator: k8s, node: node-a, pod: ${pod}, endpoint: eth0, interfaceName: ${interfaceName},
  mac: "${macOf(number)}", ipNetworks: [10.0.0.${number}/32, "fd00:10::${number}/128"],
  profiles: [kns.${namespace}, ksa.${namespace}.${account}]${more ?? ""}}
---`;
}

export const cluster: string = `
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: node-a}
spec: {bgp: {ipv4Address: 192.168.1.11/24, ipv6Address: "2001:db8:1::11/64"}}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: v4}
spec: {cidr: 10.0.0.0/16}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: v6}
spec: {cidr: "fd00:10::/64"}
---
apiVersion: v1
kind: Namespace
metadata: {name: prod, labels: {env: production}}
---
apiVersion: v1
kind: Namespace
metadata: {name: dev, labels: {env: development}}
---
apiVersion: projectcalico.org/v3
kind: Profile
metadata: {name: ksa.prod.robot}
spec: {labelsToApply: {pcsa.projectcalico.org/name: robot, pcsa.team: blue}}
---${[
  {
    namespace: "prod",
    pod: "server",
    interfaceName: "caliserver",
    number: 2,
    labels: "app: server, tier: back",
    account: "default",
    more: `,
  ports: [{name: web, protocol: TCP, port: 80}, {name: ask, protocol: UDP, port: 53}],
  ipNATs: [{internalIP: 10.0.0.2, externalIP: 192.0.2.2},
    {internalIP: "fd00:10::2", externalIP: "2001:db8:f::2"}]`,
  },
  {
    namespace: "prod",
    pod: "client",
    interfaceName: "caliclient",
    number: 3,
    labels: "app: client, tier: front",
    account: "robot",
  },
  {
    namespace: "prod",
    pod: "other",
    interfaceName: "caliother",
    number: 4,
    labels: "app: other",
    account: "default",
  },
  {
    namespace: "dev",
    pod: "dev",
    interfaceName: "calidev",
    number: 5,
    labels: "app: client",
    account: "default",
  },
  {
    namespace: "prod",
    pod: "sync",
    interfaceName: "calisync",
    number: 99,
    labels: "purpose: sync",
    account: "default",
  },
]
  .map(podManifest)
  .join("")}
`;
