import { policyIdentity } from "../../api/policy-identity.ts";
import { encapsulationAnnotation, ownEncapsulationProblem } from "../../api/pool-encapsulation.ts";
import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import type { IPPool } from "../../api/resources/ip-pool.ts";
import type { IPAMBlock } from "../../api/resources/ipam.ts";
import type { EndpointSlice } from "../../api/resources/kubernetes.ts";
import type { Node } from "../../api/resources/node.ts";
import type { WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import { errorMessage } from "../../lib/errors.ts";
import { parseIpAddr } from "../../lib/ip-addr.ts";
import { parseMac } from "../../lib/mac.ts";
import { parseInterfaceAddress, parsePrefix } from "../../lib/prefix.ts";
import { activePool, borrowers, hostAddresses, ownAddresses } from "./l3-routes.ts";
import { serviceCidrs } from "./service-cidrs.ts";
import { vtepOf } from "./vteps.ts";

/**
 * Reads every field that the graph will read, before the graph changes anything: a datastore may hold
 * what no validation ever saw.
 *
 * @throws whatever reading a malformed field throws.
 */
export function checkObject(value: ResourceOfKind[Kind] | null): void {
  switch (value?.kind) {
    case "WorkloadEndpoint":
      checkEndpoint(value);
      return;
    case "Node":
      checkNode(value);
      return;
    case "BGPConfiguration":
      serviceCidrs(value);
      return;
    case "IPPool":
      checkPool(value);
      return;
    case "IPAMBlock":
      checkBlock(value);
      return;
    case "NetworkPolicy":
    case "GlobalNetworkPolicy":
      policyIdentity(value);
      checkLists(value.spec, ["ingress", "egress", "types"]);
      return;
    case "HostEndpoint":
      checkLists(value.spec, ["expectedIPs", "profiles", "ports"]);
      checkTexts(value.metadata.labels, "labels");
      checkEach("expectedIPs", value.spec.expectedIPs, parseIpAddr);
      return;
    case "NetworkSet":
    case "GlobalNetworkSet":
      checkLists(value.spec, ["nets"]);
      checkTexts(value.metadata.labels, "labels");
      checkEach("nets", value.spec.nets, parseInterfaceAddress);
      return;
    case "EndpointSlice":
      checkSlice(value);
      return;
    case "Profile":
      checkLists(value.spec, ["ingress", "egress"]);
      checkTexts(value.spec.labelsToApply, "labelsToApply");
      return;
    case "Tier":
      checkLists(value.spec, []);
      return;
    default:
  }
}

function checkPool(pool: IPPool): void {
  activePool(pool);
  const problem = ownEncapsulationProblem(pool);
  if (problem === undefined) return;
  throw new SyntaxError(`metadata.annotations[${encapsulationAnnotation}]: ${problem}`);
}

function checkEndpoint({ spec, metadata }: WorkloadEndpoint): void {
  checkLists(spec, ["ipNetworks", "profiles", "ports", "allowSpoofedSourcePrefixes", "ipNATs"]);
  checkTexts(metadata.labels, "labels");
  checkEach("ipNetworks", spec.ipNetworks, parseInterfaceAddress);
  const spoofed = spec.allowSpoofedSourcePrefixes;
  checkEach("allowSpoofedSourcePrefixes", spoofed, parseInterfaceAddress);
  const translated = spec.ipNATs?.flatMap(({ internalIP, externalIP }) => [internalIP, externalIP]);
  checkEach("ipNATs", translated, parseIpAddr);
  checkEach("mac", spec.mac ? [spec.mac] : [], parseMac);
}

/** Addresses of an unknown form are passed over later: they need not be IP addresses. */
function checkSlice(slice: EndpointSlice): void {
  checkLists(slice, ["endpoints", "ports"]);
  checkTexts(slice.metadata.labels, "labels");
  for (const endpoint of slice.endpoints ?? []) checkLists(endpoint, ["addresses"]);
  for (const { protocol } of slice.ports ?? []) {
    if (protocol !== undefined) checkTexts({ protocol }, "ports");
  }
}

function checkNode(node: Node): void {
  ownAddresses(node, hostAddresses(node));
  vtepOf(node);
}

function checkBlock(block: IPAMBlock): void {
  if (block.spec.deleted === true) return;
  const addresses = borrowers(block, parsePrefix(block.spec.cidr), undefined);
  // Read to the end: a block is as good as its worst allocation.
  for (const _ of addresses);
}

function checkLists<Spec extends object>(spec: Spec, fields: readonly (keyof Spec & string)[]) {
  if (typeof spec !== "object" || spec === null)
    throw new TypeError("Cannot read spec: there is none");
  for (const field of fields) {
    const value: unknown = spec[field] ?? [];
    if (!Array.isArray(value)) throw new TypeError(`Cannot read ${field}: it is no list`);
    if (value.includes(null)) throw new TypeError(`Cannot read ${field}: it has an empty item`);
  }
}

/** @throws {TypeError} that names the field as well as the value. */
function checkEach(
  field: string,
  texts: readonly string[] | undefined,
  read: (text: string) => unknown,
): void {
  for (const text of texts ?? []) {
    try {
      read(text);
    } catch (cause) {
      throw new TypeError(`Cannot read ${field}: ${errorMessage(cause)}`, { cause });
    }
  }
}

function checkTexts(record: unknown, field: string): void {
  const wrong = Object.entries(record ?? {}).find(([, value]) => typeof value !== "string");
  if (wrong !== undefined) {
    throw new TypeError(`Cannot read ${field}: the value of "${wrong[0]}" is no text`);
  }
}
