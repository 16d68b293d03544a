import { qosOfAnnotations } from "../api/kubernetes/qos-annotations.ts";
import type { EndpointPort, QoSControls } from "../api/resources/workload-endpoint.ts";
import { type Prefix, parsePrefix } from "../lib/prefix.ts";
import { type AddressAnnotations, type Annotations, addressAnnotations } from "./annotations.ts";
import { CniError, cniCodes } from "./cni-error.ts";
import {
  configError,
  flag,
  integer,
  type Json,
  objectList,
  optional,
  section,
  textList,
} from "./config-fields.ts";
import { type CniVersion, isCniVersion, supportedVersions } from "./versions.ts";

/** What every call's configuration says, and all that a deletion needs. */
export interface NetworkIdentity {
  readonly cniVersion: CniVersion;
  /** Name of the network: IPAM's handles begin with it. */
  readonly name: string;
}

/** The fields of the network configuration that we act on (facts 6.1). */
export interface NetworkConfig extends NetworkIdentity {
  readonly nodeName?: string;
  /** 0: that of the node. */
  readonly mtu: number;
  readonly requireMtuFile: boolean;
  /** Queues of the veth, in both directions. */
  readonly queues: number;
  readonly assignIpv4: boolean;
  readonly assignIpv6: boolean;
  /** Names or CIDRs; annotations of the pod and of its namespace go first. */
  readonly ipv4Pools?: readonly string[];
  readonly ipv6Pools?: readonly string[];
  /** What leads out of the pod; undefined: everything. */
  readonly routes?: readonly Prefix[];
  readonly features: { readonly ipAddrsNoIpam: boolean; readonly floatingIPs: boolean };
  /** What the pod's own annotations ask for. */
  readonly annotations: AddressAnnotations;
  readonly qosControls?: QoSControls;
  /** What of its quality of service is not as the annotations say, and why. */
  readonly qosProblems: readonly string[];
  readonly allowIpForwarding: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly EndpointPort[];
  /** Somebody else than the plugin makes the profiles of the pods. */
  readonly hasPolicyType: boolean;
  /** URLs that must answer before a pod is added. */
  readonly readinessGates: readonly string[];
  /** How long ADD waits for policy before it goes on without. Undefined: ADD fails without. */
  readonly policySetupTimeoutMs?: number;
}

const maxMtu = 65_535;
const maxQueues = 4_096;
const maxPolicySetupSeconds = 100;

/** @throws {CniError} that names the field and its value. */
export function networkIdentity(config: Json): NetworkIdentity {
  const cniVersion = optional(config, "cniVersion", "string") ?? "0.2.0";
  if (!isCniVersion(cniVersion)) {
    throw new CniError(
      cniCodes.incompatibleVersion,
      `unsupported CNI version "${cniVersion}"`,
      `supported: ${supportedVersions.join(", ")}`,
    );
  }
  const name = optional(config, "name", "string") ?? "";
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) throw configError("name", name, "a network name");
  return { cniVersion, name };
}

/** @throws {CniError} that names the field or annotation and its value. */
export function networkConfig(config: Json): NetworkConfig {
  refuseWindows(config);
  checkDevice(config);
  const ipam = section(config, "ipam");
  const nodeName =
    optional(config, "nodename", "string") ??
    optional(section(config, "kubernetes"), "node_name", "string");
  const cniArgs = section(section(config, "args"), "cni");
  const allowed = section(config, "feature_control");
  const feature = (name: string) => optional(allowed, name, "boolean") ?? false;
  const routes = routesOf(config, ipam);
  const policySetupTimeoutMs = policyTimeout(config);
  const settings = {
    ...networkIdentity(config),
    ...(nodeName === undefined || nodeName === "" ? {} : { nodeName }),
    mtu: integer(config, "mtu", { range: [0, maxMtu], fallback: 0 }),
    requireMtuFile: optional(config, "require_mtu_file", "boolean") ?? false,
    queues: Math.max(1, integer(config, "num_queues", { range: [-1, maxQueues], fallback: 1 })),
    assignIpv4: flag(ipam, "assign_ipv4", true),
    assignIpv6: flag(ipam, "assign_ipv6", false),
    ...poolsOf(ipam),
    ...(routes === undefined ? {} : { routes }),
    features: {
      ipAddrsNoIpam: feature("ip_addrs_no_ipam"),
      floatingIPs: feature("floating_ips"),
    },
    annotations: {},
    qosProblems: [],
    allowIpForwarding:
      optional(section(config, "container_settings"), "allow_ip_forwarding", "boolean") ?? false,
    labels: labelsOf(cniArgs),
    ports: portsOf(cniArgs),
    hasPolicyType: (optional(section(config, "policy"), "type", "string") ?? "") !== "",
    readinessGates: textList(config["readiness_gates"], "readiness_gates"),
    ...(policySetupTimeoutMs === undefined ? {} : { policySetupTimeoutMs }),
  };
  return withAnnotations(settings, runtimeAnnotations(config));
}

/**
 * The configuration as a pod's annotations change it.
 *
 * @throws {CniError} for one that cannot be read, or that the administrator does not allow (facts 3.8).
 */
export function withAnnotations(config: NetworkConfig, written: Annotations): NetworkConfig {
  const annotations = addressAnnotations(written);
  const asked = {
    ip_addrs_no_ipam: ["ipAddrsNoIpam", annotations.addressesWithoutIpam],
    floating_ips: ["floatingIPs", annotations.floating],
  } as const;
  const { ipAddrsNoIpam, floatingIPs } = config.features;
  const given = { ip_addrs_no_ipam: ipAddrsNoIpam, floating_ips: floatingIPs };
  for (const feature of ["ip_addrs_no_ipam", "floating_ips"] as const) {
    const [name, value] = asked[feature];
    if (value === undefined || given[feature]) continue;
    throw configError(`feature_control.${feature}`, given[feature], `true for ${name}`);
  }
  const { controls, problems } = qosOfAnnotations(written);
  const { families } = annotations;
  return {
    ...config,
    assignIpv4: families?.has(4) ?? config.assignIpv4,
    assignIpv6: families?.has(6) ?? config.assignIpv6,
    annotations,
    ...(controls === undefined ? {} : { qosControls: controls }),
    qosProblems: problems,
  };
}

const windowsFields = ["mode", "vxlan_mac_prefix", "vxlan_vni"];

/** What only calico for Windows has would be ignored without a word otherwise. */
function refuseWindows(config: Json): void {
  for (const [field, value] of Object.entries(config)) {
    if (!field.startsWith("windows_") && !windowsFields.includes(field)) continue;
    if (value === null || value === "" || value === 0 || value === false) continue;
    throw new CniError(
      cniCodes.unsupportedField,
      `Cannot accept the network configuration: ${field} is for nodes that run Windows`,
      `got ${JSON.stringify(value)}`,
    );
  }
}

/** A netkit is made as a veth, as Calico does where the kernel has none. */
function checkDevice(config: Json): void {
  const device = optional(config, "device_type", "string") ?? "";
  if (!["", "veth", "netkit"].includes(device)) {
    throw configError("device_type", device, '"veth" or "netkit"');
  }
  const type = optional(section(config, "ipam"), "type", "string") ?? "calico-ipam";
  if (type !== "calico-ipam") throw configError("ipam.type", type, '"calico-ipam"');
}

function policyTimeout(config: Json): number | undefined {
  const field = "policy_setup_timeout_seconds";
  if (config[field] === undefined || config[field] === null) return undefined;
  return integer(config, field, { range: [0, maxPolicySetupSeconds], fallback: 0 }) * 1000;
}

/** containerd gives the pod's annotations in runtimeConfig, where the conflist asks for them. */
function runtimeAnnotations(config: Json): Json {
  return section(section(config, "runtimeConfig"), "io.kubernetes.cri.pod-annotations");
}

function poolsOf(ipam: Json): Pick<NetworkConfig, "ipv4Pools" | "ipv6Pools"> {
  const pools = (field: string) => textList(ipam[field], `ipam.${field}`);
  const [ipv4Pools, ipv6Pools] = [pools("ipv4_pools"), pools("ipv6_pools")];
  return {
    ...(ipv4Pools.length > 0 ? { ipv4Pools } : {}),
    ...(ipv6Pools.length > 0 ? { ipv6Pools } : {}),
  };
}

/** `ipam.routes` keeps the pod to these destinations, unless the default is wanted too (facts 6.8 point 7). */
function routesOf(config: Json, ipam: Json): readonly Prefix[] | undefined {
  const listed = objectList(ipam["routes"], "ipam.routes");
  const withDefault = optional(config, "include_default_routes", "boolean") ?? false;
  if (listed.length === 0 || withDefault) return undefined;
  return listed.map((route) => {
    try {
      return parsePrefix(String(route["dst"]));
    } catch {
      throw configError("ipam.routes", route, 'of {"dst": CIDR}');
    }
  });
}

/** `args.cni.labels` of the CNI conventions: [{"key": ..., "value": ...}]. */
function labelsOf(cniArgs: Json): Readonly<Record<string, string>> {
  const labels = objectList(cniArgs["labels"], "args.cni.labels");
  return Object.fromEntries(
    labels.map((label) => {
      const { key, value } = label;
      if (typeof key === "string" && typeof value === "string") return [key, value];
      throw configError("args.cni.labels", label, 'of {"key": text, "value": text}');
    }),
  );
}

/** `args.cni.ports`, ours: the named ports that Kubernetes would tell of the pod's containers. */
function portsOf(cniArgs: Json): readonly EndpointPort[] {
  return objectList(cniArgs["ports"], "args.cni.ports").map((written) => {
    const { name, port, protocol = "TCP" } = written as unknown as EndpointPort;
    const valid = Number.isInteger(port) && port >= 1 && port <= 65535;
    if (valid && typeof name === "string") return { name, port, protocol };
    const want = 'of {"name", "port", "protocol"}';
    throw configError("args.cni.ports", { name, port, protocol }, want);
  });
}
