import { createHash } from "node:crypto";
import { calicoApiVersion } from "../api/meta.ts";
import type { HostEndpoint, HostEndpointSpec } from "../api/resources/host-endpoint.ts";
import type {
  HostEndpointTemplate,
  KubeControllersConfigurationSpec,
} from "../api/resources/kube-controllers-configuration.ts";
import type { Node } from "../api/resources/node.ts";
import { evaluateSelector } from "../api/selector/evaluate.ts";
import { parseSelector } from "../api/selector/parser.ts";
import { InputError } from "../lib/errors.ts";
import { type IpAddr, isIpAddr, parseIpAddr } from "../lib/ip-addr.ts";
import { parsePrefix, prefixHasAddress } from "../lib/prefix.ts";

type NodeController = NonNullable<KubeControllersConfigurationSpec["controllers"]>["node"];
export type HostEndpointConfig = NonNullable<NonNullable<NodeController>["hostEndpoint"]>;

/** Marks host endpoints that are ours: others are never touched (facts 7.2). */
export const createdByLabel = "projectcalico.org/created-by";
export const createdBy = "calico-kube-controllers";
const allowAllProfile = "projectcalico-default-allow";
const longestName = 253;

/**
 * AUTO_HOST_ENDPOINTS, which beats the configuration that is stored (facts 7.7): "enabled" or "disabled".
 *
 * @throws {InputError}
 */
export function autoCreateOf(text = ""): Pick<HostEndpointConfig, "autoCreate"> {
  if (text === "") return {};
  if (/^enabled$/i.test(text)) return { autoCreate: "Enabled" };
  if (/^disabled$/i.test(text)) return { autoCreate: "Disabled" };
  throw new InputError(
    `Cannot accept AUTO_HOST_ENDPOINTS "${text}": it must be enabled or disabled`,
  );
}

export function isAuto({ metadata }: HostEndpoint): boolean {
  return metadata.labels?.[createdByLabel] === createdBy;
}

/**
 * The host endpoints that nodes have by themselves (facts 7.2): one for all interfaces of each node, and one
 * for each template and node, or with `interfacePattern` for each interface of it.
 *
 * @throws {Error} when a template cannot be understood.
 */
export function autoHostEndpoints(
  nodes: readonly Node[],
  config: HostEndpointConfig,
): HostEndpoint[] {
  if (config.autoCreate !== "Enabled") return [];
  const { createDefaultHostEndpoint = "Enabled", templates = [] } = config;
  return nodes.flatMap((node) => [
    ...(createDefaultHostEndpoint === "Enabled" ? [ofWholeNode(node)] : []),
    ...templates.flatMap((template) => ofTemplate(node, template)),
  ]);
}

function ofWholeNode(node: Node): HostEndpoint {
  const spec = { interfaceName: "*", expectedIPs: addressesOf(node) };
  return endpoint(node, [], { spec });
}

function ofTemplate(node: Node, template: HostEndpointTemplate): HostEndpoint[] {
  const { generateName, nodeSelector = "", interfaceCIDRs, interfacePattern } = template;
  const labels = new Map(Object.entries(node.metadata.labels ?? {}));
  if (!evaluateSelector(parseSelector(nodeSelector), labels)) return [];
  const prefixes = interfaceCIDRs?.map(parsePrefix);
  const isMeant = (address: IpAddr) =>
    prefixes === undefined || prefixes.some((prefix) => prefixHasAddress(prefix, address));
  if (interfacePattern === undefined) {
    const expectedIPs = addressesOf(node).filter(isMeant);
    if (expectedIPs.length === 0) return [];
    return [endpoint(node, [generateName], { template, spec: { expectedIPs } })];
  }
  const pattern = new RegExp(interfacePattern);
  return (node.spec.interfaces ?? []).flatMap(({ name, addresses }) => {
    const expectedIPs = addresses.flatMap(addressIn).filter(isMeant);
    if (!pattern.test(name) || (prefixes !== undefined && expectedIPs.length === 0)) return [];
    const spec = { interfaceName: name, expectedIPs };
    return [endpoint(node, [generateName, name], { template, spec })];
  });
}

function endpoint(
  node: Node,
  parts: readonly string[],
  of: {
    readonly template?: HostEndpointTemplate;
    readonly spec: Pick<HostEndpointSpec, "interfaceName" | "expectedIPs">;
  },
): HostEndpoint {
  const { annotations, labels } = of.template ?? {};
  return {
    apiVersion: calicoApiVersion,
    kind: "HostEndpoint",
    metadata: {
      name: nameOf([node.metadata.name, ...parts]),
      labels: { ...node.metadata.labels, ...labels, [createdByLabel]: createdBy },
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec: { node: node.metadata.name, ...of.spec, profiles: [allowAllProfile] },
  };
}

/** "<node>[-<template>[-<interface>]]-auto-hep", hashed when it is too long. */
function nameOf(parts: readonly string[]): string {
  const suffix = "-auto-hep";
  const text = parts
    .join("-")
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]/g, "-");
  if (text.length + suffix.length <= longestName) return text + suffix;
  return createHash("sha256").update(text).digest("hex") + suffix;
}

/** Addresses of the node itself and of its tunnels, each once. */
function addressesOf({ spec }: Node): IpAddr[] {
  const internal = (spec.addresses ?? []).filter(({ type }) => type === "InternalIP");
  const all = [
    spec.bgp?.ipv4Address,
    spec.bgp?.ipv6Address,
    spec.bgp?.ipv4IPIPTunnelAddr,
    spec.ipv4VXLANTunnelAddr,
    spec.ipv6VXLANTunnelAddr,
    spec.wireguard?.interfaceIPv4Address,
    spec.wireguard?.interfaceIPv6Address,
    ...internal.map(({ address }) => address),
  ];
  return [...new Set(all.flatMap((text) => addressIn(text ?? "")))];
}

/** The address, without its length. None of what is none. */
function addressIn(text: string): IpAddr[] {
  const [address = ""] = text.split("/");
  return isIpAddr(address) ? [parseIpAddr(address)] : [];
}
