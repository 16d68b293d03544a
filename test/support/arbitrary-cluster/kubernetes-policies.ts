import * as fc from "fast-check";
import { clusterPolicyApiVersion } from "../../../src/api/kubernetes/cluster-network-policy.ts";
import { networkPolicyOf } from "../../../src/api/kubernetes/network-policy.ts";
import { decodeManifest } from "../../../src/api/manifest.ts";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { given, labels, namespaces, sometimes } from "./pools.ts";

const labelSelector = fc.oneof(
  fc.constant({}),
  fc.record({ matchLabels: labels }),
  fc.constantFrom(
    { matchExpressions: [{ key: "app", operator: "In", values: ["x", "y"] }] },
    { matchExpressions: [{ key: "tier", operator: "DoesNotExist" }] },
    { matchExpressions: [{ key: "app", operator: "NotIn", values: ["x"] }] },
  ),
);
const kubernetesPeer = fc.oneof(
  fc.record({ podSelector: labelSelector }),
  fc.record({
    namespaceSelector: fc.constantFrom({}, { matchLabels: { color: "red" } }),
    podSelector: labelSelector,
  }),
  fc.record({ namespaceSelector: fc.constant({ matchLabels: { color: "blue" } }) }),
  fc.constantFrom(
    { ipBlock: { cidr: "10.0.0.0/8", except: ["10.0.1.0/24"] } },
    { ipBlock: { cidr: "fd00::/64" } },
  ),
);
const kubernetesPort = fc.constantFrom(
  { port: 80 },
  { port: 8000, endPort: 9000 },
  { port: "http" },
  { protocol: "UDP", port: 5353 },
  { protocol: "SCTP" },
);

/** A Kubernetes NetworkPolicy. */
export function kubernetesPolicy(index: number): fc.Arbitrary<AnyResource> {
  const peers = fc.array(kubernetesPeer, { maxLength: 2 });
  const ports = fc.array(kubernetesPort, { maxLength: 3 });
  return fc
    .record({
      namespace: fc.constantFrom(...namespaces),
      podSelector: labelSelector,
      ingress: fc.array(fc.record({ from: peers, ports }), { maxLength: 2 }),
      egress: fc.array(fc.record({ to: peers, ports }), { maxLength: 2 }),
    })
    .map(({ namespace, ...spec }) =>
      networkPolicyOf({
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: { name: `k${index}`, namespace },
        spec,
      } as Parameters<typeof networkPolicyOf>[0]),
    );
}

const podsOfNamespaces = fc.oneof(
  fc.record({ namespaces: fc.constantFrom({}, { matchLabels: { color: "red" } }) }),
  labelSelector.map((podSelector) => ({ pods: { namespaceSelector: {}, podSelector } })),
);
const clusterPorts = fc.constantFrom(
  { tcp: { destinationPort: { number: 80 } } },
  { tcp: { destinationPort: { range: { start: 8000, end: 9000 } } } },
  { udp: { destinationPort: { number: 5353 } } },
  { sctp: { destinationPort: { number: 80 } } },
);
const clusterAction = fc.constantFrom("Accept", "Deny", "Pass");
const clusterProtocols = sometimes(fc.array(clusterPorts, { minLength: 1, maxLength: 2 }), 1);

/** A ClusterNetworkPolicy, of either tier. */
export function clusterNetworkPolicy(index: number): fc.Arbitrary<AnyResource> {
  const peers = fc.array(podsOfNamespaces, { minLength: 1, maxLength: 2 });
  const networks = fc.constantFrom({ networks: ["10.0.0.0/24", "fd00::/112"] });
  const rule = { action: clusterAction, protocols: clusterProtocols };
  return fc
    .record({
      tier: fc.constantFrom("Admin", "Baseline"),
      priority: fc.integer({ min: 0, max: 3 }),
      subject: podsOfNamespaces,
      ingress: fc.array(fc.record({ ...rule, from: peers }).map(given), { maxLength: 3 }),
      egress: fc.array(
        fc
          .record({
            ...rule,
            to: fc.oneof(
              peers,
              networks.map((one) => [one]),
            ),
          })
          .map(given),
        { maxLength: 3 },
      ),
    })
    .map((spec) => {
      const [one] = decodeManifest({
        apiVersion: clusterPolicyApiVersion,
        kind: "ClusterNetworkPolicy",
        metadata: { name: `c${index}` },
        spec,
      });
      if (one === undefined) throw new Error("a manifest without a policy");
      return one.resource;
    });
}
