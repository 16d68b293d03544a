import type { Condition } from "../../api/condition.ts";
import { calicoApiVersion } from "../../api/meta.ts";
import { cordonedType, readyType } from "../../api/node-conditions.ts";
import { pathHealthyType } from "../../api/path-checks.ts";
import type { Node, NodeSpec } from "../../api/resources/node.ts";
import { parseAsn } from "../../lib/asn.ts";
import { ipFamily, parseIpAddr } from "../../lib/ip-addr.ts";
import { parseMac } from "../../lib/mac.ts";
import { parseInterfaceAddress } from "../../lib/prefix.ts";
import { type KubeObject, plainMetadata, stringMapOf, unlessEmpty } from "./kube-object.ts";
import { mirroredUid } from "./uid.ts";

/** A core/v1 Node as a Calico Node, whose fields are annotations of it (facts 2.4). */

const prefix = "projectcalico.org/";
const labelsAnnotation = `${prefix}labels`;
const annotationsAnnotation = `${prefix}annotations`;
/** Only in the resource: which of its labels are Kubernetes' own. */
const kubeLabelsAnnotation = `${prefix}kube-labels`;
const interfacesAnnotation = `${prefix}Interfaces`;

type Fields = Readonly<Record<string, string | number | undefined>>;
/** What an annotation must be, by throwing when it is not; it may give another form. */
type Parse = (text: string) => string | number;

const checked =
  (parse: (text: string) => unknown): Parse =>
  (text) => {
    parse(text);
    return text;
  };
const ipv4 = checked((text) => {
  if (ipFamily(parseIpAddr(text)) !== 4) throw new SyntaxError("must be IPv4");
});
const address = checked(parseIpAddr);
const interfaceAddress = checked(parseInterfaceAddress);
const mac = checked(parseMac);
const anyText: Parse = (text) => text;

/** Groups of fields, each with the annotation of each field. */
const bgpFields = {
  ipv4Address: ["IPv4Address", interfaceAddress],
  ipv6Address: ["IPv6Address", interfaceAddress],
  asNumber: ["ASNumber", (text: string) => parseAsn(text)],
  routeReflectorClusterID: ["RouteReflectorClusterID", ipv4],
  ipv4IPIPTunnelAddr: ["IPv4IPIPTunnelAddr", address],
} as const;
const specFields = {
  ipv4VXLANTunnelAddr: ["IPv4VXLANTunnelAddr", address],
  vxlanTunnelMACAddr: ["VXLANTunnelMACAddr", mac],
  ipv6VXLANTunnelAddr: ["IPv6VXLANTunnelAddr", address],
  vxlanTunnelMACAddrV6: ["VXLANTunnelMACAddrV6", mac],
} as const;
const wireguardFields = {
  interfaceIPv4Address: ["IPv4WireguardInterfaceAddr", address],
  interfaceIPv6Address: ["IPv6WireguardInterfaceAddr", address],
} as const;
const statusFields = {
  wireguardPublicKey: ["WireguardPublicKey", anyText],
  wireguardPublicKeyV6: ["WireguardPublicKeyV6", anyText],
} as const;

type FieldTable = Readonly<Record<string, readonly [annotation: string, parse: Parse]>>;

interface KubeNode extends KubeObject {
  readonly spec?: {
    readonly podCIDR?: string;
    readonly podCIDRs?: readonly string[];
    readonly unschedulable?: boolean;
  };
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly conditions?: readonly Condition[];
  };
}

/** The Calico Node of a Kubernetes node; an annotation that is invalid counts as absent. */
export function nodeOfKube(object: KubeObject): Node {
  const { metadata, spec, status } = object as KubeNode;
  const annotations = metadata.annotations ?? {};
  const bgp = fieldsOf(bgpFields, annotations);
  const wireguard = fieldsOf(wireguardFields, annotations);
  const interfaces = interfacesOf(annotations[interfacesAnnotation]);
  const podCIDRs = spec?.podCIDRs ?? (spec?.podCIDR ? [spec.podCIDR] : []);
  const keys = fieldsOf(statusFields, annotations);
  const conditions = [
    ...(status?.conditions ?? []).flatMap(keptCondition),
    ...(spec?.unschedulable === true ? [cordoned] : []),
  ];
  const addresses = addressesOf(bgp, status?.addresses ?? []);
  return {
    apiVersion: calicoApiVersion,
    kind: "Node",
    metadata: metadataOf(object),
    spec: {
      ...(isEmpty(bgp) ? {} : { bgp }),
      ...fieldsOf(specFields, annotations),
      ...(isEmpty(wireguard) ? {} : { wireguard }),
      ...(interfaces === undefined ? {} : { interfaces }),
      ...(addresses.length === 0 ? {} : { addresses }),
      orchRefs: [{ nodeName: metadata.name, orchestrator: "k8s" }],
    } as NodeSpec,
    status: {
      ...keys,
      ...(podCIDRs.length === 0 ? {} : { podCIDRs }),
      ...(conditions.length === 0 ? {} : { conditions }),
    },
  };
}

/** The part of a Node's status that is ours; undefined: nothing is. */
export function statusOfNode({ status }: Node): { readonly conditions: unknown } | undefined {
  const conditions = (status?.conditions ?? [])
    .filter(({ type }) => type === pathHealthyType)
    .map((condition) => ({ ...condition, lastHeartbeatTime: condition.lastTransitionTime }));
  return conditions.length === 0 ? undefined : { conditions };
}

/** The annotations that a Node has when it is this; null takes one away. */
export function annotationsOfNode(node: Node): Record<string, string | null> {
  const { spec, status, metadata } = node;
  const { [kubeLabelsAnnotation]: kubeLabels, ...annotations } = metadata.annotations ?? {};
  const native = stringMapOf(kubeLabels);
  const own = Object.fromEntries(
    Object.entries(metadata.labels ?? {}).filter(([key, value]) => native[key] !== value),
  );
  return {
    ...textsOf(bgpFields, spec.bgp),
    ...textsOf(specFields, spec),
    ...textsOf(wireguardFields, spec.wireguard),
    ...textsOf(statusFields, status),
    [interfacesAnnotation]:
      (spec.interfaces ?? []).length === 0 ? null : JSON.stringify(spec.interfaces),
    [labelsAnnotation]: isEmpty(own) ? null : JSON.stringify(own),
    [annotationsAnnotation]: isEmpty(annotations) ? null : JSON.stringify(annotations),
  };
}

/** What a field says, as a condition. */
const cordoned: Condition = {
  type: cordonedType,
  status: "True",
  reason: "Unschedulable",
  message: "spec.unschedulable is true",
  lastTransitionTime: "",
};

/** Of kubelet's conditions, which are written every few minutes, only what does not change then. */
function keptCondition({
  type,
  status,
  reason,
  message,
  lastTransitionTime,
}: Condition): Condition[] {
  if (type === readyType) return [{ type, status, reason, message: "", lastTransitionTime }];
  if (type !== pathHealthyType) return [];
  return [{ type, status, reason, message, lastTransitionTime }];
}

function metadataOf({ metadata }: KubeObject): Node["metadata"] {
  const { labels = {}, annotations = {}, ...rest } = plainMetadata(metadata);
  const told = stringMapOf(annotations[annotationsAnnotation]);
  const kubeLabels = isEmpty(labels) ? {} : { [kubeLabelsAnnotation]: JSON.stringify(labels) };
  return {
    ...rest,
    ...(rest.uid === undefined ? {} : { uid: mirroredUid(rest.uid) }),
    ...unlessEmpty("labels", { ...stringMapOf(annotations[labelsAnnotation]), ...labels }),
    ...unlessEmpty("annotations", { ...told, ...kubeLabels }),
  };
}

function addressesOf(
  bgp: Fields,
  addresses: readonly { readonly type: string; readonly address: string }[],
): readonly { readonly address: string; readonly type: string }[] {
  const own = [bgp["ipv4Address"], bgp["ipv6Address"]].filter((text) => text !== undefined);
  return [
    ...own.map((text) => ({ address: String(text), type: "CalicoNodeIP" })),
    ...addresses
      .filter(({ type }) => type === "InternalIP" || type === "ExternalIP")
      .map(({ address: text, type }) => ({ address: text, type })),
  ];
}

function interfacesOf(json: string | undefined): NodeSpec["interfaces"] {
  try {
    const value: unknown = JSON.parse(json ?? "null");
    return Array.isArray(value) ? (value as NodeSpec["interfaces"]) : undefined;
  } catch {
    return undefined;
  }
}

function fieldsOf(table: FieldTable, annotations: Readonly<Record<string, string>>): Fields {
  const found: Record<string, string | number> = {};
  for (const [field, [annotation, parse]] of Object.entries(table)) {
    const text = annotations[prefix + annotation];
    if (!text) continue;
    try {
      found[field] = parse(text);
    } catch {
      // As if absent.
    }
  }
  return found;
}

function textsOf(table: FieldTable, fields: object | undefined): Record<string, string | null> {
  const values = (fields ?? {}) as Fields;
  return Object.fromEntries(
    Object.entries(table).map(([field, [annotation]]) => {
      const value = values[field];
      return [prefix + annotation, value === undefined || value === "" ? null : String(value)];
    }),
  );
}

function isEmpty(fields: object): boolean {
  return Object.keys(fields).length === 0;
}
