import { withDefaults } from "../defaults.ts";
import { calicoApiVersion } from "../meta.ts";
import { kubernetesPolicyPrefix } from "../policy-identity.ts";
import type {
  KubernetesNetworkPolicy,
  KubernetesNetworkPolicySpec,
  KubernetesPolicyPeer,
} from "../resources/kubernetes.ts";
import type { NetworkPolicy, PolicyType } from "../resources/policy.ts";
import type { EntityRule } from "../resources/rule.ts";
import { namespaceSelectorText, podSelectorText } from "./label-selector.ts";
import { egressRule, ingressRule, rulesOf } from "./policy-rules.ts";
import { storedMetadata, writtenForm } from "./written-form.ts";

export const kubernetesNetworkingApiVersion = "networking.k8s.io/v1";

/** Kubernetes policies come after Calico's that have a lower order. */
const kubernetesPolicyOrder = 1000;

/**
 * A Kubernetes NetworkPolicy as NetworkPolicy "knp.default.<name>" (facts 2.6). Without an API server
 * to do it, its defaults are filled in here: policyTypes has Egress when there are egress rules.
 *
 * @param policy has passed schemas/kubernetes-schema.ts
 */
export function networkPolicyOf(policy: KubernetesNetworkPolicy): NetworkPolicy {
  const { metadata, spec } = policy;
  const converted: NetworkPolicy = {
    apiVersion: calicoApiVersion,
    kind: "NetworkPolicy",
    metadata: {
      ...storedMetadata(metadata, kubernetesPolicyPrefix, spec),
      namespace: metadata.namespace ?? "default",
    },
    spec: {
      order: kubernetesPolicyOrder,
      selector: podSelectorText(spec.podSelector),
      types: policyTypes(spec),
      ingress: (spec.ingress ?? []).flatMap(({ from, ports = [] }) =>
        rulesOf(allow, entitiesOf(from), ports, ingressRule),
      ),
      egress: (spec.egress ?? []).flatMap(({ to, ports = [] }) =>
        rulesOf(allow, entitiesOf(to), ports, egressRule),
      ),
    },
  };
  return withDefaults(converted) as NetworkPolicy;
}

/** The Kubernetes NetworkPolicy as it was written, or undefined when `policy` was not made of one. */
export function kubernetesPolicyOf(policy: NetworkPolicy): KubernetesNetworkPolicy | undefined {
  const written = writtenForm(policy.metadata, kubernetesPolicyPrefix);
  if (written === undefined) return undefined;
  return {
    apiVersion: kubernetesNetworkingApiVersion,
    kind: "NetworkPolicy",
    metadata: written.metadata,
    spec: written.spec as KubernetesNetworkPolicySpec,
  };
}

function policyTypes(spec: KubernetesNetworkPolicySpec): readonly PolicyType[] {
  if ((spec.policyTypes ?? []).length > 0) return spec.policyTypes ?? [];
  return (spec.egress ?? []).length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
}

const allow = { action: "Allow" } as const;

/** No peers are any peer. */
function entitiesOf(peers: readonly KubernetesPolicyPeer[] = []): readonly EntityRule[] {
  return peers.length === 0 ? [{}] : peers.map(entityOf);
}

function entityOf(peer: KubernetesPolicyPeer): EntityRule {
  if (peer.ipBlock !== undefined) {
    const { cidr, except = [] } = peer.ipBlock;
    return { nets: [cidr], ...(except.length > 0 ? { notNets: except } : {}) };
  }
  const namespaceSelector = namespaceSelectorText(peer.namespaceSelector);
  return {
    selector: podSelectorText(peer.podSelector),
    ...(namespaceSelector === "" ? {} : { namespaceSelector }),
  };
}
