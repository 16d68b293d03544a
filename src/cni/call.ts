import { qosOfAnnotations } from "../api/kubernetes/qos-annotations.ts";
import type { EndpointPort, QoSControls } from "../api/resources/workload-endpoint.ts";
import { type AddressAnnotations, addressAnnotations } from "./annotations.ts";
import { CniError, cniCodes } from "./cni-error.ts";
import type { CniCall } from "./protocol.ts";

export const supportedVersions: readonly string[] = [
  "0.1.0",
  "0.2.0",
  "0.3.0",
  "0.3.1",
  "0.4.0",
  "1.0.0",
];

export type CniCommand = "ADD" | "DEL" | "CHECK";

/** A call with everything checked (CNI specification sections 1 and 2, facts 6.1 and 6.8). */
export interface ParsedCall {
  readonly command: CniCommand;
  readonly containerId: string;
  readonly ifName: string;
  /** As the caller named it: only to be shown in the result, never opened. */
  readonly netnsPath: string;
  /** From K8S_POD_NAMESPACE and K8S_POD_NAME, when both are there. */
  readonly pod?: { readonly namespace: string; readonly name: string };
  readonly config: NetworkConfig;
}

/** The fields of the network configuration that we act on. */
export interface NetworkConfig {
  readonly cniVersion: string;
  readonly name: string;
  readonly nodeName?: string;
  readonly mtu: number;
  readonly assignIpv4: boolean;
  readonly assignIpv6: boolean;
  /** Names or CIDRs; annotations of the pod and of its namespace go first. */
  readonly ipv4Pools?: readonly string[];
  readonly ipv6Pools?: readonly string[];
  /** What the pod's own annotations ask for. */
  readonly annotations: AddressAnnotations;
  readonly qosControls?: QoSControls;
  /** What of its quality of service is not as the annotations say, and why. */
  readonly qosProblems: readonly string[];
  readonly allowIpForwarding: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly EndpointPort[];
}

/**
 * Checks one call.
 *
 * @throws {CniError} that names the variable or field and its value.
 */
export function parseCall(call: CniCall): ParsedCall {
  const { variables } = call;
  const command = variables.CNI_COMMAND;
  if (command !== "ADD" && command !== "DEL" && command !== "CHECK") {
    throw environmentError("CNI_COMMAND", command, "must be ADD, DEL, CHECK or VERSION");
  }
  const containerId = variables.CNI_CONTAINERID ?? "";
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(containerId)) {
    throw environmentError(
      "CNI_CONTAINERID",
      containerId,
      "must start with a letter or digit, and hold letters, digits, '_', '.', '-' only",
    );
  }
  const ifName = variables.CNI_IFNAME ?? "";
  if (!/^[^\s/:]{1,15}$/.test(ifName) || ifName === "." || ifName === "..") {
    throw environmentError(
      "CNI_IFNAME",
      ifName,
      "must have 1 to 15 characters, none of them a space, '/' or ':'",
    );
  }
  const args = parseArgs(variables.CNI_ARGS ?? "");
  const namespace = args.get("K8S_POD_NAMESPACE");
  const name = args.get("K8S_POD_NAME");
  return {
    command,
    containerId,
    ifName,
    netnsPath: variables.CNI_NETNS ?? "",
    ...(namespace && name ? { pod: { namespace: dnsName(namespace), name: dnsName(name) } } : {}),
    config: parseConfig(call.stdin),
  };
}

function environmentError(name: string, value: string | undefined, rule: string): CniError {
  const shown = value === undefined ? "nothing" : JSON.stringify(value);
  return new CniError(cniCodes.environment, `Cannot accept ${name}: it ${rule}`, `got ${shown}`);
}

function dnsName(text: string): string {
  if (/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(text)) return text;
  throw environmentError("CNI_ARGS", text, "must name pod and namespace as DNS names");
}

/** "K=V;K=V": unknown keys are of no concern to us. */
function parseArgs(text: string): Map<string, string> {
  const args = new Map<string, string>();
  for (const pair of text.split(";")) {
    if (pair === "") continue;
    const at = pair.indexOf("=");
    if (at < 1) throw environmentError("CNI_ARGS", text, "must be K=V pairs parted by ';'");
    args.set(pair.slice(0, at), pair.slice(at + 1));
  }
  return args;
}

type Json = Readonly<Record<string, unknown>>;

function parseConfig(stdin: string): NetworkConfig {
  const config = jsonObject(stdin);
  const cniVersion = optional(config, "cniVersion", "string") ?? "0.2.0";
  if (!supportedVersions.includes(cniVersion)) {
    throw new CniError(
      cniCodes.incompatibleVersion,
      `unsupported CNI version "${cniVersion}"`,
      `supported: ${supportedVersions.join(", ")}`,
    );
  }
  const name = optional(config, "name", "string") ?? "";
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) throw configError("name", name, "a network name");
  const ipam = section(config, "ipam");
  const ipamType = optional(ipam, "type", "string") ?? "calico-ipam";
  if (ipamType !== "calico-ipam") throw configError("ipam.type", ipamType, '"calico-ipam"');
  const nodeName = optional(config, "nodename", "string");
  const cniArgs = section(section(config, "args"), "cni");
  const written = annotationsOf(config);
  const annotations = addressAnnotations(written);
  checkFeatures(config, annotations);
  const { controls: qosControls, problems: qosProblems } = qosOfAnnotations(written);
  const { families } = annotations;
  const mtu = optional(config, "mtu", "number") ?? 0;
  if (!Number.isInteger(mtu) || mtu < 0 || mtu > 65535) throw configError("mtu", mtu, "0 to 65535");
  return {
    cniVersion,
    name,
    ...(nodeName === undefined ? {} : { nodeName }),
    mtu,
    assignIpv4: families?.has(4) ?? flag(ipam, "assign_ipv4", true),
    assignIpv6: families?.has(6) ?? flag(ipam, "assign_ipv6", false),
    ...poolsOf(ipam),
    annotations,
    ...(qosControls === undefined ? {} : { qosControls }),
    qosProblems,
    allowIpForwarding:
      optional(section(config, "container_settings"), "allow_ip_forwarding", "boolean") ?? false,
    labels: labelsOf(cniArgs),
    ports: portsOf(cniArgs),
  };
}

/** What an annotation asks for only where the administrator lets it (facts 3.8). */
function checkFeatures(config: Json, annotations: AddressAnnotations): void {
  const allowed = section(config, "feature_control");
  const asked = {
    ip_addrs_no_ipam: { name: "ipAddrsNoIpam", value: annotations.addressesWithoutIpam },
    floating_ips: { name: "floatingIPs", value: annotations.floating },
  };
  for (const [feature, { name, value }] of Object.entries(asked)) {
    const given = optional(allowed, feature, "boolean");
    if (value === undefined || given === true) continue;
    throw configError(`feature_control.${feature}`, given, `true for ${name}`);
  }
}

function jsonObject(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CniError(
      cniCodes.decoding,
      "Cannot read the network configuration: it is not JSON",
      (cause as Error).message,
      { cause },
    );
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw configError("configuration", value, "a JSON object");
  }
  return value as Json;
}

function configError(field: string, value: unknown, want: string): CniError {
  return new CniError(
    cniCodes.invalidConfig,
    `Cannot accept the network configuration: ${field} must be ${want}`,
    `got ${JSON.stringify(value)}`,
  );
}

function section(parent: Json, field: string): Json {
  const value = parent[field] ?? {};
  if (typeof value !== "object" || Array.isArray(value))
    throw configError(field, value, "an object");
  return value as Json;
}

interface TypeNames {
  string: string;
  number: number;
  boolean: boolean;
}

function optional<T extends keyof TypeNames>(
  parent: Json,
  field: string,
  type: T,
): TypeNames[T] | undefined {
  const value = parent[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== type) throw configError(field, value, `a ${type}`);
  return value as TypeNames[T];
}

/** Upstream writes these as the strings "true" and "false" (facts 6.8). */
function flag(parent: Json, field: string, fallback: boolean): boolean {
  const value = parent[field] ?? fallback;
  if (value === true || value === "true") return true;
  if (value === false || value === "false") return false;
  throw configError(`ipam.${field}`, value, '"true" or "false"');
}

function textList(value: unknown, field: string): readonly string[] {
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw configError(field, value, "a list of strings");
}

/** containerd gives the pod's annotations in runtimeConfig, where the conflist asks for them. */
function annotationsOf(config: Json): Json {
  return section(section(config, "runtimeConfig"), "io.kubernetes.cri.pod-annotations");
}

function poolsOf(ipam: Json): Pick<NetworkConfig, "ipv4Pools" | "ipv6Pools"> {
  const pools = (field: string) =>
    ipam[field] === undefined ? undefined : textList(ipam[field], `ipam.${field}`);
  const [ipv4Pools, ipv6Pools] = [pools("ipv4_pools"), pools("ipv6_pools")];
  return { ...(ipv4Pools ? { ipv4Pools } : {}), ...(ipv6Pools ? { ipv6Pools } : {}) };
}

/** `args.cni.labels` of the CNI conventions: [{"key": ..., "value": ...}]. */
function labelsOf(cniArgs: Json): Readonly<Record<string, string>> {
  const labels = (cniArgs["labels"] ?? []) as readonly { key?: unknown; value?: unknown }[];
  if (!Array.isArray(labels)) throw configError("args.cni.labels", labels, "a list");
  return Object.fromEntries(
    labels.map((label) => {
      if (typeof label?.key === "string" && typeof label.value === "string") {
        return [label.key, label.value];
      }
      throw configError("args.cni.labels", label, 'of {"key": text, "value": text}');
    }),
  );
}

/** `args.cni.ports`, ours: the named ports that Kubernetes would tell of the pod's containers. */
function portsOf(cniArgs: Json): readonly EndpointPort[] {
  const ports = (cniArgs["ports"] ?? []) as readonly EndpointPort[];
  if (!Array.isArray(ports)) throw configError("args.cni.ports", ports, "a list");
  return ports.map(({ name, port, protocol = "TCP" }) => {
    const valid = Number.isInteger(port) && port >= 1 && port <= 65535;
    if (valid && typeof name === "string") return { name, port, protocol };
    throw configError(
      "args.cni.ports",
      { name, port, protocol },
      'of {"name", "port", "protocol"}',
    );
  });
}
