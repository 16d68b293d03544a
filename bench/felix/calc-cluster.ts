import type { Rule } from "../../src/api/resources/rule.ts";

/** What the bench's cluster consists of. Pods are 1,000 a namespace and 200 a node. */
export interface ClusterSize {
  readonly endpoints: number;
  readonly policies: number;
  /** Global network sets of 100 nets each. */
  readonly networkSets: number;
}

export const benchNode = "node-0";
const podsPerNode = 200;
const podsPerNamespace = 1_000;
const appsPerNamespace = 20;
/** One policy in so many is global: half of those select every pod of some role. */
const globalShare = 100;
const blockSize = 64;
const blocksPerNode = 4;
const setRoles = 20;

/** What the mix is, for the row's text. */
export const policyMix =
  "99 of 100 are of a namespace, app == 'x' with two rules: a role of all namespaces, an app of their own";

/** The resources of one kind, each as its JSON text: what a datastore hands over. */
export function* texts(kind: string, size: ClusterSize): Generator<string> {
  for (const content of contents(kind, size)) {
    yield JSON.stringify({ apiVersion: "projectcalico.org/v3", kind, ...content });
  }
}

interface Content {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec: object;
}

function* contents(kind: string, size: ClusterSize): Generator<Content> {
  const nodes = Math.ceil(size.endpoints / podsPerNode);
  const namespaces = Math.max(10, Math.ceil(size.endpoints / podsPerNamespace));
  switch (kind) {
    case "ClusterInformation":
      yield { metadata: { name: "default" }, spec: { datastoreReady: true } };
      return;
    case "WorkloadEndpoint":
      for (let i = 0; i < size.endpoints; i++) yield pod(i, namespaces);
      return;
    case "Profile":
      for (let i = 0; i < namespaces; i++) yield namespaceProfile(i);
      return;
    case "Node":
      for (let i = 0; i < nodes; i++) yield node(i);
      return;
    case "IPAMBlock":
      for (let i = 0; i < nodes * blocksPerNode; i++) yield block(i);
      return;
    case "IPPool":
      yield {
        metadata: { name: "default" },
        spec: { cidr: "10.0.0.0/8", natOutgoing: true, vxlanMode: "CrossSubnet" },
      };
      return;
    case "Tier":
      yield { metadata: { name: "default" }, spec: { order: 1_000_000, defaultAction: "Deny" } };
      return;
    case "NetworkPolicy":
      for (let i = 0; i < size.policies; i++) {
        if (i % globalShare !== 0) yield namespacePolicy(i, namespaces, size.networkSets > 0);
      }
      return;
    case "GlobalNetworkPolicy":
      for (let i = 0; i < size.policies; i += globalShare) yield globalPolicy(i);
      return;
    case "GlobalNetworkSet":
      for (let i = 0; i < size.networkSets; i++) yield networkSet(i);
      return;
    default:
  }
}

/** Pods of one node are of as many namespaces: those that follow each other are on different nodes. */
function pod(index: number, namespaces: number): Content {
  const namespace = `team-${index % namespaces}`;
  const onNode = Math.floor(index / podsPerNode);
  const app = `app-${Math.floor(index / 7) % appsPerNamespace}`;
  const name = `${app}-${index}`;
  return {
    metadata: {
      name: `node--${onNode}-k8s-${name.replaceAll("-", "--")}-eth0`,
      namespace,
      labels: {
        app,
        role: `role-${index % 10}`,
        "pod-template-hash": `${(index * 7919) % 100_003}`,
        "projectcalico.org/namespace": namespace,
        "projectcalico.org/orchestrator": "k8s",
        "projectcalico.org/serviceaccount": "default",
      },
    },
    spec: {
      orchestrator: "k8s",
      node: `node-${onNode}`,
      containerID: `${index}`.padStart(64, "0"),
      pod: name,
      endpoint: "eth0",
      ipNetworks: [`${podAddress(index)}/32`],
      profiles: [`kns.${namespace}`, `ksa.${namespace}.default`],
      interfaceName: `cali${index.toString(16).padStart(11, "0")}`,
      mac: "ee:ee:ee:ee:ee:ee",
      ports: [{ name: "http", protocol: "TCP", port: 8080 }],
    },
  };
}

/** A node's pods are in blocks of its own. */
function podAddress(index: number): string {
  return addressOf(
    Math.floor(index / podsPerNode) * blocksPerNode * blockSize + (index % podsPerNode),
  );
}

function addressOf(offset: number): string {
  return `10.${(offset >> 16) & 255}.${(offset >> 8) & 255}.${offset & 255}`;
}

function namespaceProfile(index: number): Content {
  const name = `team-${index}`;
  return {
    metadata: { name: `kns.${name}` },
    spec: {
      ingress: [{ action: "Allow" }],
      egress: [{ action: "Allow" }],
      labelsToApply: {
        "pcns.kubernetes.io/metadata.name": name,
        "pcns.projectcalico.org/name": name,
        "pcns.env": index % 3 === 0 ? "production" : "test",
      },
    },
  };
}

function node(index: number): Content {
  return {
    metadata: { name: `node-${index}` },
    spec: {
      bgp: { ipv4Address: `172.16.${index >> 8}.${index & 255}/16` },
      ipv4VXLANTunnelAddr: podAddress(index * podsPerNode),
    },
  };
}

function block(index: number): Content {
  const first = index * blockSize;
  const node = `node-${Math.floor(index / blocksPerNode)}`;
  const used = Math.min(blockSize, podsPerNode - (index % blocksPerNode) * blockSize);
  const ordinals = Array.from({ length: blockSize }, (_, ordinal) => ordinal);
  return {
    metadata: { name: `${addressOf(first)}-26`.replaceAll(".", "-") },
    spec: {
      cidr: `${addressOf(first)}/26`,
      affinity: `host:${node}`,
      allocations: ordinals.map((ordinal) => (ordinal < used ? ordinal : null)),
      unallocated: ordinals.slice(used),
      attributes: ordinals.slice(0, used).map((ordinal) => ({
        handle_id: `k8s-pod-network.${first + ordinal}`,
        secondary: { node },
      })),
    },
  };
}

function namespacePolicy(index: number, namespaces: number, withSets: boolean): Content {
  const role = `role == 'role-${index % 10}'`;
  const fromRole: Rule = {
    action: "Allow",
    protocol: "TCP",
    source: withSets
      ? { selector: `set-role == 'set-${index % setRoles}'`, namespaceSelector: "global()" }
      : { selector: role, namespaceSelector: "all()" },
    destination: { ports: [80, 443] },
  };
  const fromApp: Rule = {
    action: "Allow",
    source: { selector: `app == 'app-${(index + 1) % appsPerNamespace}'` },
  };
  const app = Math.floor(index / namespaces) % appsPerNamespace;
  return {
    metadata: { name: `default.policy-${index}`, namespace: `team-${index % namespaces}` },
    spec: {
      tier: "default",
      order: index,
      selector: `app == 'app-${app}'`,
      types: ["Ingress"],
      ingress: [fromRole, fromApp],
    },
  };
}

function globalPolicy(index: number): Content {
  const number = index / globalShare;
  const rows = [
    { selector: `role == 'role-${number % 10}'`, source: "has(projectcalico.org/namespace)" },
    { selector: `pcns.env == 'production'`, source: "pcns.env == 'test'" },
    { selector: `role in { 'role-1', 'role-2' } && app != 'app-3'`, source: "app == 'app-1'" },
    { selector: `app == 'none-${number}'`, source: "all()" },
  ] as const;
  const row = rows[number % rows.length] ?? rows[0];
  return {
    metadata: { name: `default.global-${index}` },
    spec: {
      tier: "default",
      order: index,
      selector: row.selector,
      types: ["Ingress"],
      ingress: [{ action: "Deny", source: { selector: row.source } }],
    },
  };
}

function networkSet(index: number): Content {
  return {
    metadata: { name: `set-${index}`, labels: { "set-role": `set-${index % setRoles}` } },
    spec: {
      nets: Array.from({ length: 100 }, (_, net) => `192.${index & 255}.${net}.0/24`),
    },
  };
}
