import { isDeepStrictEqual } from "node:util";
import { calicoApiVersion } from "../api/meta.ts";
import type { Node, NodeSpec } from "../api/resources/node.ts";
import { parseAsn } from "../lib/asn.ts";
import { InputError } from "../lib/errors.ts";
import { ipFamily, isIpAddr, parseIpAddr } from "../lib/ip-addr.ts";
import { addressText, type HostInterface } from "./host-interfaces.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** What start-up writes of a node. The rest of the resource is left as it is. */
export interface NodeFacts {
  readonly name: string;
  readonly ipv4Address?: string;
  readonly ipv6Address?: string;
  /** Absent: what is there stays. */
  readonly asNumber?: number;
  /** Kubernetes' name of the node, when it is to be noted. */
  readonly kubernetesName?: string;
  readonly interfaces: readonly HostInterface[];
}

/** The Node with its addresses, AS number and interfaces as they are now (facts 2.4). Pure. */
export function nodeWith(present: Node | undefined, facts: NodeFacts): Node {
  const spec = present?.spec ?? {};
  const { ipv4Address: _v4, ipv6Address: _v6, ...bgp } = spec.bgp ?? {};
  const others = (spec.addresses ?? []).filter(({ type }) => type !== ourAddressType);
  const own = [facts.ipv4Address, facts.ipv6Address].filter((address) => address !== undefined);
  return {
    apiVersion: calicoApiVersion,
    kind: "Node",
    ...present,
    metadata: { ...present?.metadata, name: facts.name },
    spec: {
      ...spec,
      bgp: {
        ...bgp,
        ...(facts.ipv4Address === undefined ? {} : { ipv4Address: facts.ipv4Address }),
        ...(facts.ipv6Address === undefined ? {} : { ipv6Address: facts.ipv6Address }),
        ...(facts.asNumber === undefined ? {} : { asNumber: facts.asNumber }),
      },
      addresses: [...own.map((address) => ({ address, type: ourAddressType })), ...others],
      interfaces: interfacesOf(facts.interfaces),
      ...orchestratorOf(spec, facts.kubernetesName),
    },
  };
}

const ourAddressType = "CalicoNodeIP";

/** Interfaces with an address. Pods' interfaces have none, so a node with many pods stays small. */
function interfacesOf(interfaces: readonly HostInterface[]): NonNullable<NodeSpec["interfaces"]> {
  return interfaces
    .filter(({ name, addresses }) => name !== "lo" && addresses.length > 0)
    .filter(({ name }) => !/^(cali|tunl|vxlan\.calico|vxlan-v6\.calico)/.test(name))
    .map(({ name, addresses }) => ({ name, addresses: addresses.map(addressText) }));
}

function orchestratorOf(spec: NodeSpec, name: string | undefined): Pick<NodeSpec, "orchRefs"> {
  if (name === undefined) return {};
  const others = (spec.orchRefs ?? []).filter(({ orchestrator }) => orchestrator !== "k8s");
  return { orchRefs: [...others, { nodeName: name, orchestrator: "k8s" }] };
}

/** True when both say the same of a node. */
export function sameNode(a: Node, b: Node): boolean {
  return isDeepStrictEqual([a.spec, a.status], [b.spec, b.status]);
}

/**
 * AS: plain or dotted.
 *
 * @throws {InputError}
 */
export function asNumberOf(env: Env): number | undefined {
  const text = env["AS"]?.trim() ?? "";
  if (text === "") return undefined;
  try {
    return parseAsn(text);
  } catch (cause) {
    throw new InputError(`Cannot use AS "${text}"`, { cause });
  }
}

/**
 * Checks CALICO_ROUTER_ID, which the speaker reads: an IPv4 address, "hash", or nothing.
 *
 * @throws {InputError}
 */
export function checkRouterId(env: Env, ipv4Address: string | undefined): void {
  const text = env["CALICO_ROUTER_ID"]?.trim() ?? "";
  if (text === "" && ipv4Address === undefined) {
    throw new InputError(
      'Cannot start: the node has no IPv4 address to be its router ID, so set CALICO_ROUTER_ID (an IPv4 address, or "hash")',
    );
  }
  if (text === "" || text === "hash") return;
  if (isIpAddr(text) && ipFamily(parseIpAddr(text)) === 4) return;
  throw new InputError(
    `Cannot use CALICO_ROUTER_ID "${text}": it must be an IPv4 address or "hash"`,
  );
}
