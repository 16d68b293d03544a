import { compareText, getOrCreate } from "../../lib/collections.ts";
import { tierLabel, withDefaults } from "../defaults.ts";
import { calicoApiVersion, type Metadata } from "../meta.ts";
import { kubernetesPolicyPrefix } from "../policy-identity.ts";
import type {
  KubernetesNetworkPolicy,
  KubernetesNetworkPolicySpec,
  KubernetesPolicyPeer,
  KubernetesPolicyPort,
} from "../resources/kubernetes.ts";
import type { NetworkPolicy, PolicyType } from "../resources/policy.ts";
import type { EntityRule, Rule, RulePort } from "../resources/rule.ts";
import { namespaceSelectorText, podSelectorText } from "./label-selector.ts";

export const kubernetesNetworkingApiVersion = "networking.k8s.io/v1";

/**
 * Holds the Kubernetes spec as JSON: the conversion loses how it was written, and the user is shown
 * and may edit what he wrote. Kubernetes objects that others converted do not have it.
 */
export const kubernetesSpecAnnotation = "tortie/kubernetes-spec";

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
      ...metadata,
      name: kubernetesPolicyPrefix + metadata.name,
      namespace: metadata.namespace ?? "default",
      annotations: {
        ...metadata.annotations,
        [kubernetesSpecAnnotation]: JSON.stringify(spec),
      },
    },
    spec: {
      order: kubernetesPolicyOrder,
      selector: podSelectorText(spec.podSelector),
      types: policyTypes(spec),
      ingress: (spec.ingress ?? []).flatMap(({ from, ports }) =>
        rulesOf(from, ports, (peer, peerPorts) => ({ source: peer, destination: peerPorts })),
      ),
      egress: (spec.egress ?? []).flatMap(({ to, ports }) =>
        rulesOf(to, ports, (peer, peerPorts) => ({ destination: { ...peer, ...peerPorts } })),
      ),
    },
  };
  return withDefaults(converted) as NetworkPolicy;
}

/** The Kubernetes NetworkPolicy as it was written, or undefined when `policy` was not made of one. */
export function kubernetesPolicyOf(policy: NetworkPolicy): KubernetesNetworkPolicy | undefined {
  const { name, annotations } = policy.metadata;
  const spec = kubernetesSpecOf(annotations?.[kubernetesSpecAnnotation]);
  if (!name.startsWith(kubernetesPolicyPrefix) || spec === undefined) return undefined;
  return {
    apiVersion: kubernetesNetworkingApiVersion,
    kind: "NetworkPolicy",
    metadata: writtenMetadata(policy.metadata),
    spec,
  };
}

function writtenMetadata(metadata: Metadata): Metadata {
  const { labels = {}, annotations = {}, ...rest } = metadata;
  const keptLabels = without(labels, tierLabel);
  const keptAnnotations = without(annotations, kubernetesSpecAnnotation);
  return {
    ...rest,
    name: metadata.name.slice(kubernetesPolicyPrefix.length),
    ...(Object.keys(keptLabels).length > 0 ? { labels: keptLabels } : {}),
    ...(Object.keys(keptAnnotations).length > 0 ? { annotations: keptAnnotations } : {}),
  };
}

function without(
  record: Readonly<Record<string, string>>,
  key: string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));
}

function kubernetesSpecOf(json: string | undefined): KubernetesNetworkPolicySpec | undefined {
  if (json === undefined) return undefined;
  try {
    return JSON.parse(json) as KubernetesNetworkPolicySpec;
  } catch {
    return undefined;
  }
}

function policyTypes(spec: KubernetesNetworkPolicySpec): readonly PolicyType[] {
  if ((spec.policyTypes ?? []).length > 0) return spec.policyTypes ?? [];
  return (spec.egress ?? []).length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
}

/** One rule for each protocol and peer; no peers or no ports are any peer or any port. */
function rulesOf(
  peers: readonly KubernetesPolicyPeer[] = [],
  ports: readonly KubernetesPolicyPort[] = [],
  place: (peer: EntityRule, ports: EntityRule) => Pick<Rule, "source" | "destination">,
): Rule[] {
  const entities = peers.length === 0 ? [{}] : peers.map(entityOf);
  return portsByProtocol(ports).flatMap(([protocol, rulePorts]) =>
    entities.map((entity) => ({
      action: "Allow" as const,
      ...(protocol === undefined ? {} : { protocol }),
      ...place(entity, rulePorts.length === 0 ? {} : { ports: rulePorts }),
    })),
  );
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

type ProtocolPorts = readonly [protocol: string | undefined, ports: readonly RulePort[]];

/** Ports of each protocol, protocols by name. A port entry without a number is the whole protocol. */
function portsByProtocol(ports: readonly KubernetesPolicyPort[]): ProtocolPorts[] {
  if (ports.length === 0) return [[undefined, []]];
  const groups = new Map<string, KubernetesPolicyPort[]>();
  for (const port of ports) getOrCreate(groups, port.protocol ?? "TCP", () => []).push(port);
  return [...groups]
    .sort(([a], [b]) => compareText(a, b))
    .map(([protocol, group]) => [
      protocol,
      group.some(({ port }) => port === undefined) ? [] : mergePorts(group),
    ]);
}

/** Named ports first, then the numbers, ascending and joined into ranges. */
function mergePorts(ports: readonly KubernetesPolicyPort[]): RulePort[] {
  const names: RulePort[] = [];
  const ranges: { first: number; last: number }[] = [];
  for (const { port, endPort } of ports) {
    if (typeof port === "string") names.push(port);
    else if (port !== undefined) ranges.push({ first: port, last: endPort ?? port });
  }
  const merged: { first: number; last: number }[] = [];
  for (const range of ranges.sort((a, b) => a.first - b.first)) {
    const previous = merged.at(-1);
    if (previous !== undefined && range.first <= previous.last + 1) {
      previous.last = Math.max(previous.last, range.last);
    } else {
      merged.push({ ...range });
    }
  }
  return [
    ...new Set(names),
    ...merged.map(({ first, last }) => (first === last ? first : `${first}:${last}`)),
  ];
}
