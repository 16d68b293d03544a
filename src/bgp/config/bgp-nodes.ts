import type { Node } from "../../api/resources/node.ts";
import { type Asn, parseAsn } from "../../lib/asn.ts";
import { compareText } from "../../lib/collections.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type IpAddr, type IpFamily, ipBits, ipFamily, parseIpAddr } from "../../lib/ip-addr.ts";
import { type Prefix, parseInterfaceAddress, prefixOf } from "../../lib/prefix.ts";
import { type BgpResources, configurationOf } from "./bgp-resources.ts";

export const defaultAs: Asn = 64512 as Asn;
export const defaultPort = 179;

/** A node as BGP sees it (facts 5.16): its identity is Node.spec.bgp. */
export interface BgpNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: Readonly<Partial<Record<IpFamily, IpAddr>>>;
  /** The networks that its addresses lie in. */
  readonly networks: readonly Prefix[];
  /** Its own AS, else the global one: never ours by default, as upstream has it in the mesh. */
  readonly asn: Asn;
  readonly listenPort: number;
  /** Set on a route reflector. */
  readonly clusterId?: number;
}

/**
 * Nodes with a BGP identity, by name. What cannot be read is left out, and `problems` says why.
 *
 * @throws {SyntaxError} when the global AS number cannot be read.
 */
export function bgpNodes(resources: BgpResources, problems: string[]): readonly BgpNode[] {
  const globalAs = globalAsOf(resources);
  const nodes: BgpNode[] = [];
  for (const node of resources.nodes.values()) {
    try {
      const read = bgpNode(node, globalAs, resources);
      if (read !== undefined) nodes.push(read);
    } catch (error) {
      problems.push(`Cannot use Node "${node.metadata.name}": ${errorMessage(error)}`);
    }
  }
  return nodes.sort((a, b) => compareText(a.name, b.name));
}

/** @throws {SyntaxError} */
export function globalAsOf(resources: BgpResources): Asn {
  const asn = resources.configurations.get("default")?.spec.asNumber;
  return asn === undefined ? defaultAs : parseAsn(asn);
}

/** A cluster ID or router ID in its dotted form, as a number. */
export function dottedId(text: string): number {
  const address = parseIpAddr(text);
  if (ipFamily(address) !== 4) throw new SyntaxError(`Cannot use ID "${text}": it must be a.b.c.d`);
  return Number(ipBits(address));
}

/** A cluster ID or router ID in its dotted form. */
export function dotted(id: number): string {
  return [24, 16, 8, 0].map((shift) => (id >>> shift) & 0xff).join(".");
}

function bgpNode(node: Node, globalAs: Asn, resources: BgpResources): BgpNode | undefined {
  const { bgp } = node.spec;
  if (bgp === undefined) return undefined;
  const { name, labels = {} } = node.metadata;
  const read = (text: string | undefined) =>
    text === undefined || text === "" ? undefined : parseInterfaceAddress(text);
  const [v4, v6] = [read(bgp.ipv4Address), read(bgp.ipv6Address)];
  const given = [v4, v6].filter((each) => each !== undefined);
  const { routeReflectorClusterID: cluster = "" } = bgp;
  return {
    name,
    labels,
    addresses: {
      ...(v4 === undefined ? {} : { 4: v4.address }),
      ...(v6 === undefined ? {} : { 6: v6.address }),
    },
    networks: given.map(({ address, length }) => prefixOf(address, length)),
    asn: bgp.asNumber === undefined ? globalAs : parseAsn(bgp.asNumber),
    listenPort: configurationOf(resources, name).listenPort ?? defaultPort,
    ...(cluster === "" ? {} : { clusterId: dottedId(cluster) }),
  };
}
