import { floatingNats } from "../../api/kubernetes/floating-addresses.ts";
import {
  namespaceProfilePrefix,
  serviceAccountProfilePrefix,
} from "../../api/kubernetes/namespace.ts";
import { isQosAnnotation, qosOfAnnotations } from "../../api/kubernetes/qos-annotations.ts";
import { calicoApiVersion } from "../../api/meta.ts";
import { vethName, wepName } from "../../api/names.ts";
import type { EndpointPort, WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import { namespaceLabel, serviceAccountLabel } from "../../api/selector/scope.ts";
import { isIpAddr, parseIpAddr } from "../../lib/ip-addr.ts";
import { hostPrefix, type Prefix, parseInterfaceAddress, prefixOf } from "../../lib/prefix.ts";
import { SharedValues } from "../../lib/shared-values.ts";
import { type KubeObject, unlessEmpty } from "./kube-object.ts";
import { mirroredUid } from "./uid.ts";

/** A core/v1 Pod as the WorkloadEndpoint that it is (facts 2.6). */

const annotation = {
  podIP: "cni.projectcalico.org/podIP",
  podIPs: "cni.projectcalico.org/podIPs",
  containerID: "cni.projectcalico.org/containerID",
  floatingIPs: "cni.projectcalico.org/floatingIPs",
  allowedSources: "cni.projectcalico.org/allowedSourcePrefixes",
  awsIPs: "vpc.amazonaws.com/pod-ips",
  networkStatus: "k8s.v1.cni.cncf.io/network-status",
} as const;

/** What a pod asks of the CNI plugin: it reads them with the endpoint. */
const wishes: ReadonlySet<string> = new Set(
  ["ipv4pools", "ipv6pools", "ipFamilies", "ipAddrs", "ipAddrsNoIpam", "hwAddr"]
    .map((name) => `cni.projectcalico.org/${name}`)
    .concat(annotation.floatingIPs, annotation.allowedSources, annotation.networkStatus),
);

const finishedPhases: ReadonlySet<string> = new Set(["Failed", "Succeeded", "Completed"]);
/** Pods of one workload have these alike: half of the memory that 10,000 of them take. */
const alike = new SharedValues();
/** A longer name is no label's value. */
const maxAccountLabelLength = 63;

interface Container {
  readonly ports?: readonly {
    readonly name?: string;
    readonly containerPort?: number;
    readonly hostPort?: number;
    readonly hostIP?: string;
    readonly protocol?: string;
  }[];
}

interface Pod extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly hostNetwork?: boolean;
    readonly serviceAccountName?: string;
    readonly containers?: readonly Container[];
    readonly initContainers?: readonly Container[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
  };
}

/** Undefined for a pod that has no network of its own, or is not on a node yet. */
export function endpointOfPod(
  object: KubeObject,
  interfacePrefix: string,
): WorkloadEndpoint | undefined {
  const pod = object as Pod;
  const { metadata, spec = {} } = pod;
  const { nodeName: node, serviceAccountName } = spec;
  if (spec.hostNetwork === true || !node) return undefined;
  const { name, namespace = "default", annotations = {} } = metadata;
  const addresses = addressesOf(pod);
  const profiles = [namespaceProfilePrefix + namespace];
  if (serviceAccountName) {
    profiles.push(`${serviceAccountProfilePrefix}${namespace}.${serviceAccountName}`);
  }
  const containerID = annotations[annotation.containerID];
  const ports = portsOf(spec);
  const nats = natsOf(annotations[annotation.floatingIPs], addresses);
  const { controls: qos } = qosOfAnnotations(annotations);
  const sources = listOf(annotations[annotation.allowedSources]).flatMap(prefixOfText);
  return {
    apiVersion: calicoApiVersion,
    kind: "WorkloadEndpoint",
    metadata: metadataOf(pod, endpointName(node, name)),
    spec: {
      orchestrator: "k8s",
      node: alike.share(node),
      pod: name,
      endpoint: "eth0",
      ...(containerID ? { containerID } : {}),
      ...(serviceAccountName ? { serviceAccountName: alike.share(serviceAccountName) } : {}),
      ipNetworks: addresses,
      ...(nats.length > 0 ? { ipNATs: nats } : {}),
      profiles: alike.share(profiles),
      interfaceName: vethName(interfacePrefix, namespace, name),
      ...(ports.length > 0 ? { ports: alike.share(ports) } : {}),
      ...(sources.length > 0 ? { allowSpoofedSourcePrefixes: sources } : {}),
      ...(qos === undefined ? {} : { qosControls: alike.share(qos) }),
    },
  };
}

/** Name of the endpoint that a pod is. */
export function endpointName(node: string, pod: string): string {
  return wepName({ node, orchestrator: "k8s", workload: pod, endpoint: "eth0" });
}

/** What the CNI plugin writes of an endpoint: annotations of its pod. */
export function annotationsOfEndpoint({ spec }: WorkloadEndpoint): Record<string, string> {
  const networks = spec.ipNetworks ?? [];
  return {
    [annotation.podIP]: networks[0] ?? "",
    [annotation.podIPs]: networks.join(","),
    ...(spec.containerID === undefined ? {} : { [annotation.containerID]: spec.containerID }),
  };
}

/** Present and empty says "released"; absent says nothing (facts appendix D 18). */
export const releasedAnnotations: Readonly<Record<string, string>> = {
  [annotation.podIP]: "",
  [annotation.podIPs]: "",
};

function metadataOf({ metadata, spec }: Pod, name: string): WorkloadEndpoint["metadata"] {
  const { namespace = "default", resourceVersion, uid, creationTimestamp, generateName } = metadata;
  const account = spec?.serviceAccountName;
  const annotations = Object.entries(metadata.annotations ?? {}).filter(
    ([key]) => wishes.has(key) || isQosAnnotation(key),
  );
  return {
    name,
    namespace,
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(uid === undefined ? {} : { uid: mirroredUid(uid) }),
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    ...(generateName === undefined ? {} : { generateName: alike.share(generateName) }),
    labels: alike.share({
      ...metadata.labels,
      [namespaceLabel]: namespace,
      "projectcalico.org/orchestrator": "k8s",
      ...(account && account.length < maxAccountLabelLength
        ? { [serviceAccountLabel]: account }
        : {}),
    }),
    ...unlessEmpty("annotations", Object.fromEntries(annotations)),
  };
}

/** The first source that tells any. A pod that has ended has given its addresses back. */
function addressesOf(pod: Pod): readonly Prefix[] {
  if (isFinished(pod)) return [];
  const { metadata, status = {} } = pod;
  const annotations = metadata.annotations ?? {};
  const sources = [
    (status.podIPs ?? []).map(({ ip }) => ip),
    [status.podIP ?? ""],
    (annotations[annotation.podIPs] ?? "").split(","),
    [annotations[annotation.podIP] ?? ""],
    (annotations[annotation.awsIPs] ?? "").split(","),
  ];
  const told = sources.map((source) => source.filter(Boolean)).find((source) => source.length > 0);
  return (told ?? []).flatMap(networkOf);
}

function isFinished({ metadata, status }: Pod): boolean {
  if (finishedPhases.has(status?.phase ?? "")) return true;
  if (metadata.deletionTimestamp === undefined) return false;
  const { [annotation.podIP]: own, [annotation.awsIPs]: aws } = metadata.annotations ?? {};
  return own === "" || aws === "";
}

/** "10.0.0.5" or "10.0.0.5/32" as the host's own prefix. */
function networkOf(text: string): readonly Prefix[] {
  try {
    return [
      hostPrefix(
        parseInterfaceAddress(
          text.includes("/")
            ? text.trim()
            : `${parseIpAddr(text.trim())}/${text.includes(":") ? 128 : 32}`,
        ).address,
      ),
    ];
  } catch {
    return [];
  }
}

/** "10.0.0.0/24" as it is; an address alone is the host's own prefix. */
function prefixOfText(text: string): readonly Prefix[] {
  if (!text.includes("/")) return networkOf(text);
  try {
    const { address, length } = parseInterfaceAddress(text.trim());
    return [prefixOf(address, length)];
  } catch {
    return [];
  }
}

function portsOf({
  containers = [],
  initContainers = [],
}: NonNullable<Pod["spec"]>): EndpointPort[] {
  const ports = [...containers, ...initContainers].flatMap((container) => container.ports ?? []);
  return ports
    .filter(({ containerPort, name, hostPort }) => containerPort && (name || hostPort))
    .map(({ name, containerPort = 0, hostPort, hostIP, protocol = "TCP" }) => ({
      ...(name ? { name } : {}),
      protocol: protocol as EndpointPort["protocol"],
      port: containerPort,
      ...(hostPort ? { hostPort } : {}),
      ...(hostIP ? { hostIP } : {}),
    }));
}

/** Each floating address to the pod's address of its family. */
function natsOf(
  json: string | undefined,
  addresses: readonly Prefix[],
): NonNullable<WorkloadEndpoint["spec"]["ipNATs"]> {
  const floating = listOf(json).filter(isIpAddr).map(parseIpAddr);
  return floatingNats(
    floating,
    addresses.map((network) => parseInterfaceAddress(network).address),
  );
}

function listOf(json: string | undefined): readonly string[] {
  try {
    const value: unknown = JSON.parse(json ?? "[]");
    return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
  } catch {
    return [];
  }
}
