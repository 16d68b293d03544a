import * as fc from "fast-check";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { clusterNetworkPolicy, kubernetesPolicy } from "./kubernetes-policies.ts";
import {
  given,
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
  return fc.oneof(
    global,
    local,
    kubernetesPolicy(index),
    hostPolicy(index),
    clusterNetworkPolicy(index),
  );
}

/** A policy for a place of a host endpoint's. Those before DNAT have no egress. */
function hostPolicy(index: number): fc.Arbitrary<AnyResource> {
  return fc
    .record({
      ...policySpec(fc.constantFrom(...tiers, "default", "default")),
      place: fc.constantFrom(
        { applyOnForward: true },
        { applyOnForward: true, doNotTrack: true },
        { applyOnForward: true, preDNAT: true },
      ),
    })
    .map(({ place, types, egress, ...spec }) =>
      resource(
        "GlobalNetworkPolicy",
        `h${index}`,
        given(
          "preDNAT" in place
            ? { ...spec, ...place, types: ["Ingress"] }
            : { ...spec, ...place, types, egress },
        ),
      ),
    );
}
