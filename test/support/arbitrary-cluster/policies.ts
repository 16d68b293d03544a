import * as fc from "fast-check";
import { networkPolicyOf } from "../../../src/api/kubernetes/network-policy.ts";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import {
  given,
  labels,
  maybe,
  namespaces,
  policyNamespaceSelector,
  resource,
  selector,
  sometimes,
  subset,
} from "./pools.ts";
import { rules } from "./rules.ts";

const tiers = ["default", "early", "lax", "gone"];

function policySpec(tier: fc.Arbitrary<string>) {
  return {
    tier,
    order: maybe(fc.constantFrom(1, 2, 10.5)),
    selector: sometimes(selector, 3),
    serviceAccountSelector: sometimes(fc.constantFrom("role == 'machine'", "all()"), 9),
    types: sometimes(subset(["Ingress", "Egress"], { minLength: 1 }), 1),
    ingress: rules("source"),
    egress: rules("destination"),
  };
}

/** A policy of any form. */
export function policy(index: number): fc.Arbitrary<AnyResource> {
  const tier = fc.constantFrom(...tiers, "default", "default");
  const global = fc
    .record({
      ...policySpec(tier),
      namespaceSelector: sometimes(policyNamespaceSelector),
    })
    .map((spec) => resource("GlobalNetworkPolicy", `g${index}`, given(spec)));
  const local = fc
    .record({ namespace: fc.constantFrom(...namespaces), spec: fc.record(policySpec(tier)) })
    .map(({ namespace, spec }) =>
      resource("NetworkPolicy", `n${index}`, given(spec), { namespace }),
    );
  return fc.oneof(global, local, kubernetesPolicy(index));
}

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

function kubernetesPolicy(index: number): fc.Arbitrary<AnyResource> {
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
