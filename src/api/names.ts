import { hash } from "node:crypto";
import type { IpAddr, IpFamily } from "../lib/ip-addr.ts";
import { type MacAddr, parseMac } from "../lib/mac.ts";
import { type Prefix, parsePrefix, prefixAddress, prefixLength } from "../lib/prefix.ts";

/**
 * Every name that is computed from other names. All of them are contracts with a running cluster:
 * a changed name is an orphaned veth, chain, IP set or object. Vectors: facts appendix B.
 */

/** MAC address of the host's end of every workload's veth. */
export const hostVethMac: MacAddr = parseMac("ee:ee:ee:ee:ee:ee");

/** What the kernel makes of `hostVethMac`: the IPv6 default gateway of every pod. */
export const hostVethLinkLocal: IpAddr = "fe80::ecee:eeff:feee:eeee" as IpAddr;

/** IPv4 default gateway of every pod. Nobody has it: the host answers by proxy ARP. */
export const podGateway: IpAddr = "169.254.1.1" as IpAddr;

/** Interface names hold 15 characters. */
export const maxInterfaceNameLength = 15;

/** Name of the host's end of a pod's veth, 11 characters after the prefix (facts 2.6). */
export function vethName(prefix: string, namespace: string, pod: string): string {
  return prefix + hash("sha1", `${namespace}.${pod}`, "hex").slice(0, 11);
}

/** The four parts of a WorkloadEndpoint's name. */
export interface WepNameParts {
  readonly node: string;
  /** "k8s", or "cni" without Kubernetes. */
  readonly orchestrator: string;
  /** The pod, or the container ID without Kubernetes. */
  readonly workload: string;
  /** Interface in the pod: "eth0". */
  readonly endpoint: string;
}

/** Name of a WorkloadEndpoint: parts joined by "-", a "-" inside a part doubled (facts 2.6). */
export function wepName(parts: WepNameParts): string {
  return [parts.node, parts.orchestrator, parts.workload, parts.endpoint]
    .map((part) => part.replaceAll("-", "--"))
    .join("-");
}

/** Inverse of wepName. Undefined when `name` does not have four non-empty parts. */
export function parseWepName(name: string): WepNameParts | undefined {
  const parts = name
    .replaceAll("--", "/")
    .split("-")
    .map((part) => part.replaceAll("/", "-"));
  const [node, orchestrator, workload, endpoint] = parts;
  if (name.includes("/") || parts.length !== 4 || !node || !orchestrator || !workload || !endpoint)
    return undefined;
  return { node, orchestrator, workload, endpoint };
}

/** A CIDR as an object's name: "10.0.0.64/26" is "10-0-0-64-26" (facts 2.3). */
export function cidrName(cidr: Prefix): string {
  return `${prefixAddress(cidr).replaceAll(/[.:]/g, "-")}-${prefixLength(cidr)}`;
}

/** The CIDR of such a name (facts B 20); undefined for another. */
export function cidrOfName(name: string): Prefix | undefined {
  const at = name.lastIndexOf("-");
  const [address, length] = [name.slice(0, at), name.slice(at + 1)];
  const separator = /^\d+-\d+-\d+-\d+$/.test(address) ? "." : ":";
  try {
    const cidr = parsePrefix(`${address.replaceAll("-", separator)}/${length}`);
    return cidrName(cidr) === name ? cidr : undefined;
  } catch {
    return undefined;
  }
}

/** Name of a node's affinity to a block; a node name that is too long is cut and hashed (facts 2.3). */
export function affinityName(node: string, cidr: Prefix): string {
  const block = cidrName(cidr);
  const name = `${node}-${block}`;
  if (name.length < 253) return name;
  const digest = hash("sha256", `${node}+${block}`, "hex").slice(0, 11);
  return `${node.slice(0, 252 - block.length - 13)}-${block}-${digest}`;
}

/** Value of the label by which affinities of a host are listed: a node name may not fit a label. */
export function hostnameHash(node: string): string {
  return base32(hash("sha3-256", node, "buffer"));
}

/** Labels of a BlockAffinity (facts 2.3). */
export function affinityLabels(
  node: string,
  type: "host" | "virtual",
  family: IpFamily,
): Record<string, string> {
  return {
    "projectcalico.org/hostname-hash": hostnameHash(node),
    "projectcalico.org/affinity-type": type,
    "projectcalico.org/ip-version": String(family),
  };
}

/** Longest chain name that iptables takes. */
export const maxChainNameLength = 28;

/**
 * Name of a chain: `prefix` and `id`, or a hash of `id` where that is too long (facts 4.6). A name of
 * just the maximal length whose id begins with "_" is hashed too, else it could pass for a hash.
 */
export function chainName(
  prefix: string,
  id: string,
  maxLength: number = maxChainNameLength,
): string {
  const length = prefix.length + id.length;
  if (length < maxLength || (length === maxLength && !id.startsWith("_"))) return prefix + id;
  return `${prefix}_${hash("sha256", id, "base64url")}`.slice(0, maxLength);
}

/** What an IP set's id begins with (facts 4.3). */
export type IpSetIdPrefix = "s" | "n" | "svc" | "svcnoport";

/**
 * Id of an IP set by what it holds: the canonical text of a selector ("s"), "<selector
 * id>,<protocol>,<port name>" ("n"), "<namespace>/<service>" ("svc", "svcnoport").
 */
export function ipSetId(prefix: IpSetIdPrefix, content: string): string {
  return `${prefix}:${hash("sha224", `${prefix}:${content}`, "base64url")}`;
}

/** Longest IP set name that the kernel takes. */
export const maxSetNameLength = 31;

/** Name in the kernel of the IP set with this id: "cali40s:...", cut to 31 characters. */
export function kernelSetName(id: string, family: IpFamily): string {
  return `cali${family}0${id}`.slice(0, maxSetNameLength);
}

/** MAC address of a node's VXLAN device: the same whoever computes it. */
export function vtepMac(node: string, family: IpFamily): MacAddr {
  const digest = hash("sha1", family === 4 ? node : `${node}-v6`, "hex");
  return parseMac(`66${digest.slice(0, 10)}`.replace(/(..)(?=.)/g, "$1:"));
}

/** RFC 4648 base32 without padding. */
function base32(bytes: Uint8Array): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  let text = "";
  let bits = 0;
  let count = 0;
  for (const byte of bytes) {
    bits = (bits << 8) | byte;
    for (count += 8; count >= 5; count -= 5) text += alphabet[(bits >> (count - 5)) & 31];
    bits &= (1 << count) - 1;
  }
  return count === 0 ? text : text + alphabet[(bits << (5 - count)) & 31];
}
