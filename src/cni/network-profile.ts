import { calicoApiVersion } from "../api/meta.ts";
import type { Profile } from "../api/resources/policy.ts";

/**
 * The profile of a network's containers where no Kubernetes tells of namespaces: they reach everybody, and
 * are reached by each other, as Calico's plugin makes it.
 */
export function networkProfile(network: string): Profile {
  return {
    apiVersion: calicoApiVersion,
    kind: "Profile",
    metadata: { name: network },
    spec: {
      ingress: [{ action: "Allow", source: { selector: `has(${network})` } }],
      egress: [{ action: "Allow" }],
      labelsToApply: { [network]: "" },
    },
  };
}
