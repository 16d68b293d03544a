import { InputError } from "../lib/errors.ts";
import { addressBits, type IpAddr, type IpFamily, ipFamily } from "../lib/ip-addr.ts";
import {
  type InterfaceAddress,
  type Prefix,
  parsePrefix,
  prefixHasAddress,
} from "../lib/prefix.ts";
import { addressText, type HostInterface, isGlobalUnicast, ownAddress } from "./host-interfaces.ts";

/** How the node's address is found (facts 1.1, autodetect methods). */
export type DetectionMethod =
  | { readonly kind: "first-found" }
  | { readonly kind: "interface"; readonly patterns: readonly RegExp[] }
  | { readonly kind: "skip-interface"; readonly patterns: readonly RegExp[] }
  | { readonly kind: "can-reach"; readonly target: string }
  | { readonly kind: "cidr"; readonly prefixes: readonly Prefix[] }
  | { readonly kind: "kubernetes-internal-ip" };

/** What is known of the host. Everything a method may look at, so that detection is pure. */
export interface HostFacts {
  readonly interfaces: readonly HostInterface[];
  /** For can-reach: the address that the kernel sends from. */
  readonly source?: IpAddr;
  /** For kubernetes-internal-ip: absent without Kubernetes. */
  readonly internalIps?: readonly IpAddr[];
}

/** One address that was looked at, and what became of it. */
export interface Candidate {
  readonly interface: string;
  readonly address: string;
  readonly chosen: boolean;
  readonly reason: string;
}

export interface Detection {
  readonly chosen?: InterfaceAddress;
  /** In the order in which they were looked at. */
  readonly candidates: readonly Candidate[];
}

const excluded: readonly RegExp[] = [
  "^docker.*",
  "^cbr.*",
  "^dummy.*",
  "^podman.*",
  "^virbr.*",
  "^lxcbr.*",
  "^veth.*",
  "^lo",
  "^br-.*",
  "^cali.*",
  "^tunl.*",
  "^flannel.*",
  "^kube-ipvs.*",
  "^cni.*",
  "^vxlan\\.calico.*",
  "^vxlan-v6\\.calico.*",
  "^wireguard\\.cali.*",
  "^wg-v6\\.cali.*",
  "^nodelocaldns.*",
].map((pattern) => new RegExp(pattern));

/**
 * Reads IP_AUTODETECTION_METHOD.
 *
 * @throws {InputError} that names the variable and its value.
 */
export function parseDetectionMethod(text: string, variable: string): DetectionMethod {
  const wrong = (why: string) => new InputError(`Cannot use ${variable} "${text}": ${why}`);
  const equals = text.indexOf("=");
  const name = equals === -1 ? text : text.slice(0, equals);
  const values =
    equals === -1
      ? []
      : text
          .slice(equals + 1)
          .split(",")
          .map((v) => v.trim());
  if (name === "" || name === "first-found") return { kind: "first-found" };
  if (name === "kubernetes-internal-ip") return { kind: "kubernetes-internal-ip" };
  if (values.length === 0 || values.includes("")) {
    throw wrong("it must be first-found, kubernetes-internal-ip, or NAME=VALUE with a value");
  }
  try {
    if (name === "interface" || name === "skip-interface") {
      return { kind: name, patterns: values.map((pattern) => new RegExp(pattern)) };
    }
    if (name === "cidr") return { kind: "cidr", prefixes: values.map(parsePrefix) };
  } catch (error) {
    throw wrong((error as Error).message);
  }
  if (name === "can-reach") return { kind: "can-reach", target: values.join(",") };
  throw wrong("there is no such method");
}

/** Finds the node's address of one family. Pure; the candidates say why each was taken or not. */
export function detectAddress(
  method: DetectionMethod,
  family: IpFamily,
  facts: HostFacts,
): Detection {
  if (method.kind === "can-reach") return fixedAddress(facts, family, canReach(method, facts));
  if (method.kind === "kubernetes-internal-ip") {
    const addresses = (facts.internalIps ?? []).filter((ip) => ipFamily(ip) === family);
    return fixedAddress(facts, family, {
      ...(addresses[0] === undefined ? {} : { address: addresses[0] }),
      reason: "InternalIP of the Kubernetes node",
    });
  }
  const candidates: Candidate[] = [];
  let chosen: InterfaceAddress | undefined;
  for (const { name, address, refused } of ordered(method, family, facts.interfaces)) {
    const taken = chosen === undefined && refused === undefined;
    if (taken) chosen = address;
    candidates.push({
      interface: name,
      address: addressText(address),
      chosen: taken,
      reason: refused ?? (taken ? `first by ${method.kind}` : "another was first"),
    });
  }
  return { ...(chosen === undefined ? {} : { chosen }), candidates };
}

function canReach(
  method: { readonly target: string },
  facts: HostFacts,
): { readonly address?: IpAddr; readonly reason: string } {
  const reason = `source of packets to ${method.target}`;
  return facts.source === undefined ? { reason } : { address: facts.source, reason };
}

function fixedAddress(
  facts: HostFacts,
  family: IpFamily,
  wanted: { readonly address?: IpAddr; readonly reason: string },
): Detection {
  const { address, reason } = wanted;
  if (address === undefined || ipFamily(address) !== family) return { candidates: [] };
  const own = ownAddress(facts.interfaces, address);
  const chosen = own ?? { address, length: addressBits[family] };
  const name = facts.interfaces.find(({ addresses }) => own && addresses.includes(own))?.name;
  const candidate = { interface: name ?? "-", address: addressText(chosen), chosen: true, reason };
  return { chosen, candidates: [candidate] };
}

interface Looked {
  readonly name: string;
  readonly address: InterfaceAddress;
  readonly refused?: string;
}

/** Addresses in the order of preference: by pattern, then from the highest interface index down. */
function ordered(
  method: Exclude<DetectionMethod, { kind: "can-reach" | "kubernetes-internal-ip" }>,
  family: IpFamily,
  interfaces: readonly HostInterface[],
): Looked[] {
  const looked = interfaces
    .toSorted((a, b) => b.ifindex - a.ifindex)
    .flatMap((link) => addressesOf(link, family).map((address) => look(method, link, address)));
  if (method.kind !== "interface") return looked;
  const rank = ({ name }: Looked) => {
    const index = method.patterns.findIndex((pattern) => pattern.test(name));
    return index === -1 ? method.patterns.length : index;
  };
  return looked.toSorted((a, b) => rank(a) - rank(b));
}

/** Of one interface, those in a network first: a lone /32 often floats between nodes. */
function addressesOf(link: HostInterface, family: IpFamily): InterfaceAddress[] {
  const lone = ({ length }: InterfaceAddress) => (length === addressBits[family] ? 1 : 0);
  return link.addresses
    .filter(({ address }) => ipFamily(address) === family)
    .toSorted((a, b) => lone(a) - lone(b));
}

function look(
  method: Parameters<typeof ordered>[0],
  link: HostInterface,
  address: InterfaceAddress,
): Looked {
  const refused = refusal(method, link, address);
  return { name: link.name, address, ...(refused === undefined ? {} : { refused }) };
}

function refusal(
  method: Parameters<typeof ordered>[0],
  link: HostInterface,
  { address }: InterfaceAddress,
): string | undefined {
  const matching = (patterns: readonly RegExp[]) => patterns.find((p) => p.test(link.name));
  if (!link.up) return "interface is down";
  if (!isGlobalUnicast(address)) return "not a global unicast address";
  if (method.kind === "interface") {
    return matching(method.patterns) === undefined ? "interface name does not match" : undefined;
  }
  const skipped = method.kind === "skip-interface" ? matching(method.patterns) : undefined;
  if (skipped !== undefined) return `interface name matches ${skipped.source}`;
  if (method.kind === "cidr") {
    const inside = method.prefixes.some((prefix) => prefixHasAddress(prefix, address));
    return inside ? undefined : "in none of the CIDRs";
  }
  const pattern = matching(excluded);
  return pattern === undefined ? undefined : `interface name is excluded (${pattern.source})`;
}

/** The candidates as a table for people. */
export function renderCandidates(candidates: readonly Candidate[]): string {
  if (candidates.length === 0) return "no address was found to choose from";
  const width = (field: "interface" | "address") =>
    Math.max(...candidates.map((candidate) => candidate[field].length));
  const [names, addresses] = [width("interface"), width("address")];
  return candidates
    .map(({ interface: name, address, chosen, reason }) =>
      [chosen ? "*" : " ", name.padEnd(names), address.padEnd(addresses), reason].join("  "),
    )
    .join("\n");
}
