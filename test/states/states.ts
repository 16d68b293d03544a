import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import {
  allowFrom,
  block,
  endpointSlice,
  globalPolicy,
  hostEndpoint,
  me,
  networkSet,
  node,
  pod,
  policy,
  pool,
  profile,
  tier,
  web1,
  webHere,
} from "./resources.ts";

/** What the datastore holds. The dataplane that must follow is golden/<name>.txt. */
export interface State {
  readonly name: string;
  readonly resources: readonly AnyResource[];
}

const web = { app: "web" };
const client = { app: "client" };
const other = "node-b";
const far = "node-c";

const pods = [
  web1,
  pod("web2", { ip: "10.0.0.9/32", labels: web, node: other }),
  pod("client1", { ip: "10.0.0.10/32", labels: client, node: other }),
];

const allowFromClients = policy("allow-clients", {
  order: 100,
  selector: "app == 'web'",
  types: ["Ingress"],
  ingress: [
    {
      action: "Allow",
      protocol: "TCP",
      source: { selector: "app == 'client'" },
      destination: { ports: [80, "8000:8010"] },
    },
  ],
});

const nodes = [
  node(me, "192.168.1.11/24", { ipv4VXLANTunnelAddr: "10.0.0.0" }),
  node(other, "192.168.1.12/24", { ipv4VXLANTunnelAddr: "10.0.0.8" }),
  node(far, "192.168.2.13/24", {
    ipv4VXLANTunnelAddr: "10.0.0.16",
    vxlanTunnelMACAddr: "66:11:22:33:44:55",
  }),
];
const blocks = [
  block("10.0.0.0/29", me, { 0: me, 1: me, 2: other }),
  block("10.0.0.8/29", other, { 0: other, 1: other, 2: other, 3: me }),
  block("10.0.0.16/29", far, { 0: far }),
];

export const states: readonly State[] = [
  { name: "empty", resources: [] },
  { name: "local-pod", resources: webHere },
  {
    name: "limits",
    resources: [
      pod(`${me}-limited`.replaceAll("-", "--"), {
        ip: "10.0.0.5/32",
        interfaceName: "calilimited",
        qosControls: {
          ingressBandwidth: 1_000_000,
          ingressPacketRate: 100,
          egressMaxConnections: 7,
          dscp: "EF",
        },
      }),
      pod(`${me}-burst-alone`.replaceAll("-", "--"), {
        ip: "10.0.0.6/32",
        interfaceName: "caliburst",
        qosControls: { ingressBurst: 1_000_000 },
      }),
    ],
  },
  {
    name: "remote-pods-only",
    resources: [...pods.slice(1), profile("kns.prod"), allowFromClients],
  },
  { name: "policy", resources: [...pods, profile("kns.prod"), allowFromClients] },
  { name: "profile-missing", resources: pods },
  {
    name: "label-inheritance",
    resources: [
      ...pods,
      profile("kns.prod"),
      pod("stranger", { ip: "10.0.1.1/32", namespace: "dev", node: other }),
      globalPolicy("from-production", {
        selector: "pcns.env == 'production'",
        ...allowFrom({ selector: "pcns.env == 'production'" }),
      }),
    ],
  },
  {
    name: "own-label-wins",
    resources: [
      pod("web1", { ip: "10.0.0.1/32", labels: { "pcns.env": "own" } }),
      profile("kns.prod"),
      globalPolicy("a-production", { selector: "pcns.env == 'production'", types: ["Ingress"] }),
      globalPolicy("b-own", { selector: "pcns.env == 'own'", types: ["Ingress"] }),
    ],
  },
  {
    name: "order-of-policies",
    resources: [
      ...webHere,
      tier("default", { order: 1_000_000, defaultAction: "Deny" }),
      tier("first", { order: 10, defaultAction: "Pass" }),
      tier("unordered", {}),
      globalPolicy("z-none", { selector: "all()" }),
      globalPolicy("b", { selector: "all()", order: 10 }),
      globalPolicy("a", { selector: "all()", order: 10 }),
      policy("a", { selector: "all()", order: 10 }),
      policy("knp.default.k8s", { selector: "all()", order: 1000, types: ["Ingress", "Egress"] }),
      globalPolicy("first.pass", { tier: "first", egress: [{ action: "Pass" }] }),
      globalPolicy("unordered.x", { tier: "unordered", types: ["Egress"] }),
      globalPolicy("kcnp.default.last", { tier: "kube-baseline", order: 1, types: ["Ingress"] }),
      globalPolicy("kcnp.default.early", { tier: "kube-admin", order: 1, types: ["Ingress"] }),
      globalPolicy("missing.deny", {
        tier: "missing",
        order: 1,
        ingress: [{ action: "Allow" }],
      }),
    ],
  },
  {
    name: "named-ports",
    resources: [
      pod("web1", {
        ip: "10.0.0.1/32",
        labels: web,
        ipNetworks: ["10.0.0.1/32", "fd00::1/128"],
        ports: [
          { name: "http", protocol: "TCP", port: 8080 },
          { name: "http", protocol: "UDP", port: 8081 },
          { name: "metrics", protocol: "TCP", port: 9090 },
        ],
      }),
      profile("kns.prod"),
      policy("named", {
        selector: "app == 'web'",
        types: ["Ingress", "Egress"],
        ingress: [{ action: "Allow", protocol: "TCP", destination: { ports: ["http", 443] } }],
        egress: [
          { action: "Allow", destination: { ports: ["http"], selector: "app == 'web'" } },
          { action: "Deny", protocol: "UDP", destination: { notPorts: ["http"] } },
        ],
      }),
    ],
  },
  {
    name: "rules-of-all-kinds",
    resources: [
      pod("web1", { ip: "10.0.0.1/32", labels: web }),
      profile("kns.prod", {
        ingress: [{ action: "Deny", ipVersion: 4, protocol: "ICMP", icmp: { type: 8, code: 0 } }],
        egress: [{ action: "Log" }, { action: "Allow", notProtocol: 17 }],
      }),
      policy("scoped", {
        selector: "has(app)",
        types: ["Ingress"],
        ingress: [
          { action: "Allow", source: { namespaceSelector: "env == 'production'" } },
          { action: "Allow", source: { namespaceSelector: "all()", notSelector: "app == 'web'" } },
          { action: "Pass", source: { serviceAccounts: { names: ["bob", "alice"] } } },
          { action: "Deny", source: { nets: ["10.0.0.0/8"], notNets: ["10.1.0.0/16"] } },
        ],
      }),
    ],
  },
  {
    name: "unresolvable-rules",
    resources: [
      ...webHere,
      globalPolicy("of-services", {
        types: ["Egress"],
        egress: [
          { action: "Allow", destination: { services: { name: "dns" } } },
          { action: "Deny", destination: { services: { name: "dns" } } },
        ],
      }),
    ],
  },
  {
    name: "network-sets",
    resources: [
      ...webHere,
      networkSet("partners", ["203.0.113.7/24", "198.51.100.1", "2001:db8::/32"], {
        labels: { role: "partner" },
      }),
      networkSet("everything", ["0.0.0.0/0", "::/0"], { labels: { role: "all" } }),
      networkSet("local", ["192.0.2.0/25"], { namespace: "prod", labels: { role: "partner" } }),
      networkSet("stranger", ["192.0.2.128/25"], { namespace: "dev", labels: { role: "partner" } }),
      policy("own-namespace", {
        selector: "all()",
        types: ["Ingress"],
        ingress: [
          { action: "Allow", source: { selector: "role == 'partner'" } },
          { action: "Deny", source: { selector: "role == 'all'", namespaceSelector: "global()" } },
          { action: "Allow", source: { namespaceSelector: "env == 'production'" } },
        ],
      }),
      globalPolicy("all-namespaces", {
        types: ["Egress"],
        egress: [{ action: "Deny", destination: { selector: "role == 'partner'" } }],
      }),
    ],
  },
  {
    name: "services",
    resources: [
      ...webHere,
      endpointSlice("dns-1", "kube-system/dns", {
        addresses: ["10.0.0.9", "not-an-address.example"],
        ports: [{ port: 53 }, { protocol: "UDP", port: 53 }, { protocol: "TCP" }],
      }),
      endpointSlice("dns-2", "kube-system/dns", {
        addresses: ["fd00::9", "10.0.0.9"],
        ports: [{ protocol: "UDP", port: 53 }],
      }),
      endpointSlice("other", "prod/dns", { addresses: ["10.0.0.10"], ports: [{ port: 5353 }] }),
      policy("of-services", {
        selector: "all()",
        types: ["Ingress", "Egress"],
        ingress: [{ action: "Allow", source: { services: { name: "dns" } } }],
        egress: [
          {
            action: "Allow",
            destination: { services: { name: "dns", namespace: "kube-system" } },
          },
          { action: "Allow", destination: { services: { name: "absent" } } },
        ],
      }),
    ],
  },
  {
    name: "host-endpoints",
    resources: [
      ...webHere,
      hostEndpoint("eth0", {
        interfaceName: "eth0",
        labels: { role: "host" },
        profiles: ["projectcalico-default-allow"],
        ports: [{ name: "ssh", protocol: "TCP", port: 2222 }],
        expectedIPs: ["192.168.1.11", "2001:db8::11"],
      }),
      hostEndpoint("all", { interfaceName: "*", labels: { role: "host" } }),
      hostEndpoint("far", { node: other, labels: { role: "host" }, expectedIPs: ["192.168.1.12"] }),
      tier("first", { order: 1 }),
      globalPolicy("first.untracked", {
        tier: "first",
        selector: "has(role)",
        doNotTrack: true,
        applyOnForward: true,
        types: ["Ingress", "Egress"],
      }),
      globalPolicy("before-dnat", {
        selector: "role == 'host'",
        preDNAT: true,
        applyOnForward: true,
        ingress: [{ action: "Deny", source: { nets: ["203.0.113.0/24"] } }],
      }),
      globalPolicy("forward", { selector: "has(role)", applyOnForward: true, types: ["Ingress"] }),
      globalPolicy("hosts", {
        selector: "has(role) || has(app)",
        types: ["Egress"],
        egress: [
          { action: "Allow", protocol: "TCP", destination: { ports: ["ssh"] } },
          { action: "Allow", destination: { selector: "role == 'host'" } },
        ],
      }),
    ],
  },
  {
    name: "two-claim-one-address",
    resources: [
      pod("web1", { ip: "10.0.0.1/32", labels: web }),
      pod("twin", { ip: "10.0.0.1/32", labels: client }),
      pod("elsewhere", { ip: "10.0.0.1/32", labels: client, node: other }),
      profile("kns.prod"),
      allowFromClients,
    ],
  },
  {
    name: "vxlan-cross-subnet",
    resources: [
      ...nodes,
      ...blocks,
      pool("default", "10.0.0.0/16", { vxlanMode: "CrossSubnet" }),
      pod("web1", { ip: "10.0.0.1/32", labels: web }),
      pod("borrowed", { ip: "10.0.0.11/32" }),
      profile("kns.prod"),
    ],
  },
  {
    name: "vxlan-always",
    resources: [...nodes, ...blocks, pool("default", "10.0.0.0/16", { vxlanMode: "Always" })],
  },
  {
    name: "ipip-and-inner-pool",
    resources: [
      ...nodes,
      ...blocks,
      pool("outer", "10.0.0.0/16", { ipipMode: "CrossSubnet" }),
      pool("inner", "10.0.0.16/28", { natOutgoing: false }),
    ],
  },
  {
    name: "pools-of-one-cidr",
    resources: [
      ...nodes,
      ...blocks,
      pool("a", "10.0.0.0/16", { vxlanMode: "Always" }),
      pool("b", "10.0.0.0/16", { ipipMode: "Always" }),
    ],
  },
  {
    name: "no-pool",
    resources: [...nodes, ...blocks, pod("web1", { ip: "10.0.0.1/32" }), profile("kns.prod")],
  },
  {
    name: "node-address-in-pool",
    resources: [
      node(me, "10.0.0.2/24"),
      node(other, "10.0.0.12/24", { addresses: [{ address: "10.0.0.13", type: "InternalIP" }] }),
      node("kubernetes-only", "x", {
        bgp: {},
        addresses: [
          { address: "203.0.113.1", type: "ExternalIP" },
          { address: "10.0.0.20", type: "InternalIP" },
        ],
      }),
      ...blocks,
      pool("default", "10.0.0.0/16"),
    ],
  },
  {
    name: "block-without-host",
    resources: [
      ...nodes,
      block("10.0.0.0/29", undefined, { 1: me, 2: other }),
      pool("default", "10.0.0.0/16", { vxlanMode: "Always" }),
    ],
  },
];
