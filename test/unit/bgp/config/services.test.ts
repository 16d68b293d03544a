import assert from "node:assert/strict";
import { test } from "node:test";
import type { BGPConfigurationSpec } from "../../../../src/api/resources/bgp.ts";
import type {
  EndpointSlice,
  Service,
  ServiceSpec,
} from "../../../../src/api/resources/kubernetes.ts";
import { widest } from "../../../../src/bgp/config/services.ts";
import { type SpeakerEnv, speakerConfig } from "../../../../src/bgp/config/speaker-config.ts";
import type { Prefix } from "../../../../src/lib/prefix.ts";
import { type ClusterSketch, cluster } from "../speaker/cluster.ts";

interface Situation {
  readonly configuration?: BGPConfigurationSpec;
  readonly services?: readonly Service[];
  readonly endpoints?: readonly EndpointSlice[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly env?: SpeakerEnv;
  readonly reflector?: boolean;
}

function configOf(situation: Situation) {
  const bgp = {
    ipv4Address: "10.0.0.1/24",
    ...(situation.reflector === true ? { routeReflectorClusterID: "1.0.0.1" } : {}),
  };
  const sketch: ClusterSketch = {
    nodes: { a: bgp },
    labels: { a: situation.labels ?? {} },
    blocks: { "10.244.1.0/26": "a" },
    configurations: { default: situation.configuration ?? allRanges },
    services: situation.services ?? [],
    endpointSlices: situation.endpoints ?? [],
  };
  const config = speakerConfig(cluster(sketch), "a", situation.env);
  assert.ok(config !== undefined);
  return config;
}

/** What is announced besides the node's block. */
function announced(situation: Situation): readonly string[] {
  const { originated } = configOf(situation);
  assert.equal(originated[0], "10.244.1.0/26");
  return originated.slice(1);
}

const allRanges: BGPConfigurationSpec = {
  serviceClusterIPs: [{ cidr: "10.96.0.0/12" }, { cidr: "fd10::/108" }],
  serviceExternalIPs: [{ cidr: "192.0.2.0/24" }, { cidr: "203.0.113.9/32" }],
  serviceLoadBalancerIPs: [{ cidr: "198.51.100.0/24" }, { cidr: "203.0.113.8/32" }],
};
const rangesOnly = ["10.96.0.0/12", "192.0.2.0/24", "198.51.100.0/24", "fd10::/108"];
const withoutAggregation = { ...allRanges, serviceLoadBalancerAggregation: "Disabled" } as const;
const rangesWithoutLb = ["10.96.0.0/12", "192.0.2.0/24", "fd10::/108"];

function service(spec: ServiceSpec, ingress: readonly string[] = []): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "shop" },
    spec: { type: "LoadBalancer", clusterIP: "10.96.0.10", ipFamilies: ["IPv4"], ...spec },
    status: { loadBalancer: { ingress: ingress.map((ip) => ({ ip })) } },
  };
}

type Endpoint = NonNullable<EndpointSlice["endpoints"]>[number];

function slice(
  endpoints: readonly Endpoint[],
  options: { readonly of?: string; readonly type?: "IPv4" | "IPv6"; readonly name?: string } = {},
): EndpointSlice {
  const { of = "web", type = "IPv4", name = "web-x" } = options;
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name, namespace: "shop", labels: { "kubernetes.io/service-name": of } },
    spec: {},
    addressType: type,
    endpoints,
  };
}

const here: Endpoint = { nodeName: "a", conditions: { ready: true } };
const there: Endpoint = { nodeName: "b", conditions: { ready: true } };
const local: ServiceSpec = { externalTrafficPolicy: "Local" };
const everywhere: ServiceSpec = { externalTrafficPolicy: "Cluster" };

/** Facts 5.18: the situation, and what is announced besides the ranges. */
const rows: readonly (readonly [string, Situation, readonly string[]])[] = [
  [
    "Local with a ready endpoint here",
    { services: [service(local)], endpoints: [slice([here])] },
    ["10.96.0.10/32"],
  ],
  [
    "Local with an endpoint that does not say whether it is ready",
    { services: [service(local)], endpoints: [slice([{ nodeName: "a" }])] },
    ["10.96.0.10/32"],
  ],
  [
    "Local with an endpoint that is not ready",
    {
      services: [service(local)],
      endpoints: [slice([{ nodeName: "a", conditions: { ready: false } }])],
    },
    [],
  ],
  [
    "Local with endpoints elsewhere",
    { services: [service(local)], endpoints: [slice([there])] },
    [],
  ],
  ["Local without endpoints", { services: [service(local)] }, []],
  [
    "Local with the endpoint in a second slice",
    {
      services: [service(local)],
      endpoints: [slice([there]), slice([here], { name: "web-y" })],
    },
    ["10.96.0.10/32"],
  ],
  [
    "Local with endpoints of another service",
    { services: [service(local)], endpoints: [slice([here], { of: "other" })] },
    [],
  ],
  [
    "Local with endpoints of another family",
    { services: [service(local)], endpoints: [slice([here], { type: "IPv6" })] },
    [],
  ],
  [
    "Local with all sorts of addresses, of which those inside the ranges count",
    {
      services: [
        service({ ...local, externalIPs: ["192.0.2.7", "8.8.8.8"] }, ["198.51.100.7", "9.9.9.9"]),
      ],
      endpoints: [slice([here])],
    },
    ["10.96.0.10/32", "192.0.2.7/32", "198.51.100.7/32"],
  ],
  [
    "Local with cluster IPs of both families, wherever they lie",
    {
      services: [
        service({
          ...local,
          clusterIP: "172.20.0.10",
          clusterIPs: ["172.20.0.10", "fd10::a"],
          ipFamilies: ["IPv4", "IPv6"],
        }),
      ],
      endpoints: [slice([here], { type: "IPv6" })],
    },
    ["172.20.0.10/32", "fd10::a/128"],
  ],
  [
    "Local of node's name in Kubernetes",
    {
      services: [service(local)],
      endpoints: [slice([{ nodeName: "k8s-a" }])],
      env: { CALICO_K8S_NODE_REF: "k8s-a" },
    },
    ["10.96.0.10/32"],
  ],
  [
    "Cluster is covered by the ranges",
    { services: [service(everywhere, ["198.51.100.7"])], endpoints: [slice([here])] },
    [],
  ],
  [
    "Cluster with a load balancer address that is a range of its own",
    { services: [service(everywhere, ["203.0.113.8"])] },
    ["10.96.0.10/32", "203.0.113.8/32"],
  ],
  [
    "Cluster that wants a load balancer address that is a range of its own",
    { services: [service({ ...everywhere, loadBalancerIP: "203.0.113.8" })] },
    ["10.96.0.10/32"],
  ],
  [
    "Cluster of another type than LoadBalancer with such an address",
    { services: [service({ ...everywhere, type: "NodePort" }, ["203.0.113.8"])] },
    [],
  ],
  [
    "Cluster with an external address that is a range of its own",
    { services: [service({ ...everywhere, type: "NodePort", externalIPs: ["203.0.113.9"] })] },
    ["10.96.0.10/32", "203.0.113.9/32"],
  ],
  [
    "a headless service",
    { services: [service({ ...local, clusterIP: "None" })], endpoints: [slice([here])] },
    [],
  ],
  [
    "an ExternalName service",
    { services: [service({ ...local, type: "ExternalName" })], endpoints: [slice([here])] },
    [],
  ],
];

for (const [name, situation, expected] of rows) {
  test(`Service advertisement: ${name}`, () => {
    const singles = announced(situation).filter((prefix) => !rangesOnly.includes(prefix));
    assert.deepEqual(singles, expected);
  });
}

test("Ranges are announced, but for single addresses of external and load balancer lists", () => {
  assert.deepEqual(announced({}), rangesOnly);
});

test("Without aggregation each load balancer service with a ready endpoint is told of", () => {
  const services = [service(everywhere, ["198.51.100.7"])];
  const configuration = withoutAggregation;
  assert.deepEqual(announced({ configuration, services }), rangesWithoutLb);
  const endpoints = [slice([there])];
  const told = announced({ configuration, services, endpoints });
  assert.deepEqual(
    told.filter((prefix) => !rangesWithoutLb.includes(prefix)),
    ["10.96.0.10/32", "198.51.100.7/32"],
  );
});

test("A node that is excluded announces nothing, and programs none of the ranges either", () => {
  const labels = { "node.kubernetes.io/exclude-from-external-load-balancers": "true" };
  const config = configOf({ labels, services: [service(local)], endpoints: [slice([here])] });
  assert.deepEqual(config.originated, ["10.244.1.0/26"]);
  assert.deepEqual(config.reflectedServices, []);
  assert.equal(config.serviceRanges.length, 6);
});

test("Cluster IPs are told of only when there are ranges for them", () => {
  const { serviceClusterIPs: _ranges, ...configuration } = allRanges;
  const services = [service({ ...local, externalIPs: ["192.0.2.7"] })];
  assert.deepEqual(announced({ configuration, services, endpoints: [slice([here])] }), [
    "192.0.2.0/24",
    "192.0.2.7/32",
    "198.51.100.0/24",
  ]);
});

test("CALICO_ADVERTISE_CLUSTER_IPS replaces the ranges of cluster IPs", () => {
  const env = { CALICO_ADVERTISE_CLUSTER_IPS: "10.100.0.0/16" };
  assert.deepEqual(announced({ env }), ["10.100.0.0/16", "192.0.2.0/24", "198.51.100.0/24"]);
});

test("What is announced for services is told, and a reflector passes on what others announce", () => {
  const services = [service({ ...local, clusterIP: "172.20.0.10" })];
  const situation = { services, endpoints: [slice([here])] };
  assert.deepEqual(configOf(situation).reflectedServices, [
    "10.96.0.0/12",
    "172.20.0.10/32",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "fd10::/108",
  ]);
  const configuration = withoutAggregation;
  assert.deepEqual(configOf({ reflector: true, configuration }).reflectedServices, [
    "10.96.0.0/12",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.8/32",
    "203.0.113.9/32",
    "fd10::/108",
  ]);
});

test("An address that cannot be read costs its service only this address", () => {
  const services = [service({ ...local, externalIPs: ["192.0.2.7", "192.0.2.999"] })];
  const config = configOf({ services, endpoints: [slice([here])] });
  assert.ok(config.originated.includes("192.0.2.7/32" as Prefix));
  assert.deepEqual(config.problems, ['Service "shop/web": Cannot parse address "192.0.2.999"']);
});

test("widest() keeps what lies in nothing else", () => {
  const given = ["10.1.0.0/16", "10.0.0.0/8", "10.1.2.3/32", "11.0.0.0/8", "10.0.0.0/8", "::/0"];
  assert.deepEqual(widest(given as Prefix[]), ["10.0.0.0/8", "11.0.0.0/8", "::/0"]);
});
