import type { Node } from "../api/resources/node.ts";
import { InputError } from "../lib/errors.ts";
import { type IpAddr, type IpFamily, ipFamily, parseIpAddr } from "../lib/ip-addr.ts";
import { type InterfaceAddress, parseInterfaceAddress } from "../lib/prefix.ts";
import {
  type Candidate,
  type DetectionMethod,
  detectAddress,
  type HostFacts,
  parseDetectionMethod,
  renderCandidates,
} from "./autodetect.ts";
import { addressText, ownAddress } from "./host-interfaces.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** What to do about the node's address of one family (facts 1.1, IP and IP6). */
export type AddressWish =
  | { readonly kind: "keep" }
  | { readonly kind: "set"; readonly address: InterfaceAddress; readonly withLength: boolean }
  | { readonly kind: "detect"; readonly method: DetectionMethod };

/** What was decided. `address` absent: the node has none of this family. */
export interface AddressChoice {
  readonly address?: string;
  readonly candidates: readonly Candidate[];
}

/**
 * Reads IP or IP6: an address, "autodetect", "none", or nothing. Nothing means to keep what the node
 * has, and for IPv4 to detect it when it has nothing.
 *
 * @throws {InputError} that names the variable and its value.
 */
export function addressWish(env: Env, family: IpFamily, present: string | undefined): AddressWish {
  const variable = family === 4 ? "IP" : "IP6";
  const text = env[variable]?.trim() ?? "";
  if (text.toLowerCase() === "none") return { kind: "keep" };
  const detects = text === "autodetect" || (text === "" && family === 4 && present === undefined);
  if (detects) {
    const method = `${variable}_AUTODETECTION_METHOD`;
    return { kind: "detect", method: parseDetectionMethod(env[method]?.trim() ?? "", method) };
  }
  if (text === "") return { kind: "keep" };
  const address = parseWish(text, variable);
  if (ipFamily(address.address) !== family) {
    throw new InputError(`Cannot use ${variable} "${text}": it must be IPv${family}`);
  }
  return { kind: "set", address, withLength: text.includes("/") };
}

function parseWish(text: string, variable: string): InterfaceAddress {
  try {
    return parseInterfaceAddress(text);
  } catch {
    throw new InputError(
      `Cannot use ${variable} "${text}": it must be an address, autodetect or none`,
    );
  }
}

/**
 * Carries out a wish on what is known of the host. Pure.
 *
 * @throws {InputError} when nothing fits; the message holds the table of candidates.
 */
export function chooseAddress(
  wish: AddressWish,
  family: IpFamily,
  context: { readonly facts: HostFacts; readonly present: string | undefined },
): AddressChoice {
  const { facts, present } = context;
  if (wish.kind === "keep") {
    return { ...(present === undefined ? {} : { address: present }), candidates: [] };
  }
  if (wish.kind === "set") {
    const own = wish.withLength ? undefined : ownAddress(facts.interfaces, wish.address.address);
    return { address: addressText(own ?? wish.address), candidates: [] };
  }
  if (wish.method.kind === "kubernetes-internal-ip" && facts.internalIps === undefined) {
    throw new InputError(
      "Cannot detect the node's address by kubernetes-internal-ip: the datastore is not Kubernetes",
    );
  }
  const { chosen, candidates } = detectAddress(wish.method, family, facts);
  if (chosen !== undefined) return { address: addressText(chosen), candidates };
  throw new InputError(
    `Cannot detect the node's IPv${family} address by ${wish.method.kind}:\n${renderCandidates(candidates)}`,
  );
}

/** Another node that has one of these addresses (facts 1.1, address conflict check). */
export function conflictingNode(
  nodes: readonly Node[],
  name: string,
  addresses: readonly string[],
): { readonly node: string; readonly address: IpAddr } | undefined {
  const own = new Set(addresses.map((text) => parseInterfaceAddress(text).address));
  for (const { metadata, spec } of nodes) {
    if (metadata.name === name) continue;
    for (const text of [spec.bgp?.ipv4Address, spec.bgp?.ipv6Address]) {
      const address = text === undefined ? undefined : parseAddress(text);
      if (address !== undefined && own.has(address)) return { node: metadata.name, address };
    }
  }
  return undefined;
}

function parseAddress(text: string): IpAddr | undefined {
  try {
    return parseInterfaceAddress(text).address;
  } catch {
    return undefined;
  }
}

/** InternalIP addresses of a Kubernetes node, as its resource tells them. */
export function internalIpsOf(node: Node | undefined): IpAddr[] {
  return (node?.spec.addresses ?? [])
    .filter(({ type }) => type === "InternalIP")
    .map(({ address }) => parseIpAddr(address.split("/", 1)[0] ?? ""));
}
