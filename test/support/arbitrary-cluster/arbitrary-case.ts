import * as fc from "fast-check";
import { fixedTiers } from "../../../src/api/defaults.ts";
import { profilesOfNamespace } from "../../../src/api/kubernetes/namespace.ts";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { decodeResource } from "../../../src/api/validate.ts";
import type { Packet } from "../../../src/policy/packet.ts";
import { policy } from "./policies.ts";
import {
  configuration,
  labels,
  maybe,
  namespaces,
  nets4,
  nodes,
  outside,
  pods,
  resource,
  sometimes,
  subset,
  supports,
  v4Of,
  v6Of,
} from "./pools.ts";

/**
 * Random clusters of two nodes, two namespaces and a few pods, with policies of every form, and packets
 * that have a chance to meet them. Values come from small pools, so that things collide. Every resource
 * is one that validation accepts. Kinds that the calculation graph does not know are left out.
 */
export interface Case {
  readonly resources: readonly AnyResource[];
  readonly packets: readonly Packet[];
}

const policySlots = Array.from({ length: 6 }, (_, index) => index);
const endpointPorts = subset([
  { name: "http", protocol: "TCP", port: 8080 },
  { name: "http", protocol: "TCP", port: 80 },
  { name: "dns", protocol: "UDP", port: 5353 },
  { name: "dns", protocol: "TCP", port: 5353 },
]);

function pod(index: number): fc.Arbitrary<AnyResource> {
  return fc
    .record({
      namespace: fc.constantFrom(...namespaces),
      node: fc.constantFrom(...nodes),
      labels,
      account: maybe(fc.constantFrom("robot", "default")),
      ports: endpointPorts,
      lost: fc.integer({ min: 0, max: 19 }).map((draw) => draw === 19),
    })
    .map(({ namespace, node, labels: own, account, ports, lost }) =>
      resource(
        "WorkloadEndpoint",
        `${node.replace("-", "--")}-k8s-p${index}-eth0`,
        {
          orchestrator: "k8s",
          node,
          pod: `p${index}`,
          endpoint: "eth0",
          ipNetworks: [`${v4Of(index)}/32`, `${v6Of(index)}/128`],
          interfaceName: `cali${index}x`,
          ...(account === undefined ? {} : { serviceAccountName: account }),
          profiles: [
            lost ? "kns.gone" : `kns.${namespace}`,
            ...(account === undefined ? [] : [`ksa.${namespace}.${account}`]),
          ],
          ports,
        },
        {
          namespace,
          labels: {
            ...own,
            "projectcalico.org/namespace": namespace,
            "projectcalico.org/orchestrator": "k8s",
            ...(account === undefined ? {} : { "projectcalico.org/serviceaccount": account }),
          },
        },
      ),
    );
}

/** Host endpoints of one node: that of its interface, found by name or by address, and that of all. */
function hostEndpoints(node: string): fc.Arbitrary<AnyResource[]> {
  const expected = [addressOf(node)];
  const endpoint = (name: string, own: readonly object[]) =>
    fc
      .record({
        labels,
        ports: endpointPorts,
        own: fc.constantFrom(...own),
        profiles: sometimes(fc.constantFrom([], ["kns.red"], ["kns.gone"]), 1),
      })
      .map(({ labels: given, own: fields, ports, profiles }) =>
        resource(
          "HostEndpoint",
          `${node}-${name}`,
          { node, ...fields, ports, ...(profiles === undefined ? {} : { profiles }) },
          { labels: given },
        ),
      );
  const eth0 = endpoint("eth0", [
    { expectedIPs: expected },
    { interfaceName: "eth0", expectedIPs: expected },
  ]);
  const all = endpoint("all", [{ interfaceName: "*" }]);
  return fc
    .tuple(sometimes(eth0, 2), sometimes(all, 2))
    .map((drawn) => drawn.filter((one) => one !== undefined));
}

function addressOf(node: string): string {
  return `192.168.0.${nodes.indexOf(node) + 1}`;
}

/** What every cluster has, whatever is drawn: nodes, namespaces, accounts and tiers; "gone" is a tier that is not there. */
export const fixed: readonly AnyResource[] = [
  ...nodes.map((name) => resource("Node", name, { bgp: { ipv4Address: `${addressOf(name)}/24` } })),
  ...namespaces.flatMap((name) => profilesOfNamespace({ name, labels: { color: name } })),
  ...namespaces.map((name) =>
    resource("Profile", `ksa.${name}.robot`, { labelsToApply: { "pcsa.role": "machine" } }),
  ),
  ...Object.entries(fixedTiers).map(([name, spec]) => resource("Tier", name, spec)),
  resource("Tier", "early", { order: 10, defaultAction: "Deny" }),
  resource("Tier", "lax", { order: 10, defaultAction: "Pass" }),
];

const networkSets = fc
  .tuple(labels, labels, subset(nets4, { minLength: 1 }), subset(outside.map(hostNet)))
  .map(([a, b, wide, narrow]) =>
    supports("NetworkSet")
      ? [
          resource("GlobalNetworkSet", "wide", { nets: wide }, { labels: a }),
          resource("NetworkSet", "narrow", { nets: narrow }, { namespace: "red", labels: b }),
        ]
      : [],
  );

function hostNet(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

const slices = subset(pods).map((behind) =>
  supports("EndpointSlice")
    ? [
        decodeResource({
          apiVersion: "discovery.k8s.io/v1",
          kind: "EndpointSlice",
          metadata: {
            name: "web-1",
            namespace: "red",
            labels: { "kubernetes.io/service-name": "web" },
          },
          addressType: "IPv4",
          endpoints: behind.map((index) => ({ addresses: [v4Of(index)] })),
          ports: [{ protocol: "TCP", port: 8080 }],
        }),
      ]
    : [],
);

const configurations = fc.constantFrom("Drop", "Accept", "Return").map(configuration);

/** Clusters with packets each; shrinking takes policies, rules, fields and packets away. */
export function arbitraryCase(packets: fc.Arbitrary<Packet[]>): fc.Arbitrary<Case> {
  return fc
    .record({
      pods: fc.tuple(...pods.map((index) => maybe(pod(index)))),
      policies: fc.tuple(...policySlots.map((index) => maybe(policy(index)))),
      hosts: fc.tuple(...nodes.map(hostEndpoints)),
      networkSets,
      slices,
      configuration: configurations,
      packets,
    })
    .map((drawn) => ({
      resources: [
        ...fixed,
        ...[...drawn.pods, ...drawn.policies].filter((one) => one !== undefined),
        ...drawn.hosts.flat(),
        ...drawn.networkSets,
        ...drawn.slices,
        drawn.configuration,
      ],
      packets: drawn.packets,
    }));
}
