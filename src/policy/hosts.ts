import type { HostEndpoint } from "../api/resources/host-endpoint.ts";
import type { Node } from "../api/resources/node.ts";
import { groupBy } from "../lib/collections.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import { parseInterfaceAddress, prefixHasAddress } from "../lib/prefix.ts";
import type { PolicyCluster } from "./cluster.ts";
import type { Packet } from "./packet.ts";
import { networkOf } from "./population.ts";
import type { FailsafePort, PolicySettings } from "./settings.ts";
import type { Direction } from "./verdict.ts";

/** Nodes and their host endpoints, by address. */
export class Hosts {
  readonly #nodeAt = new Map<IpAddr, string>();
  /** Of a node's own interfaces, those of its tunnels left out. */
  readonly #addresses = new Map<string, readonly IpAddr[]>();
  readonly #endpoints: ReadonlyMap<string, readonly HostEndpoint[]>;

  constructor({ nodes, hostEndpoints }: PolicyCluster) {
    for (const node of nodes) {
      const addresses = addressesOf(node);
      const all = [...addresses, ...tunnelAddressesOf(node)];
      this.#addresses.set(node.metadata.name, addresses);
      for (const address of all) this.#nodeAt.set(address, node.metadata.name);
    }
    this.#endpoints = groupBy(hostEndpoints, ({ spec }) => spec.node);
  }

  /** The node that has the address: its own, or its tunnel's. */
  nodeAt(address: IpAddr): string | undefined {
    return this.#nodeAt.get(address);
  }

  /**
   * The host endpoint of the interface that a packet takes: one that expects the host's address, else
   * the one of all interfaces. `address` is absent for a packet that passes through no tunnel and does
   * not end here: then it is any of the node's own. Endpoints that name only an interface stay
   * undecided: the datastore does not tell which one a packet takes.
   */
  endpointAt(
    node: string,
    address: IpAddr | undefined,
  ): { readonly found: HostEndpoint | undefined; readonly undecided: readonly HostEndpoint[] } {
    const addresses = address === undefined ? (this.#addresses.get(node) ?? []) : [address];
    const here = this.#endpoints.get(node) ?? [];
    const expecting = here.find(
      ({ spec }) =>
        spec.interfaceName !== "*" &&
        (spec.expectedIPs ?? []).some((text) =>
          addresses.some((one) => prefixHasAddress(networkOf(text), one)),
        ),
    );
    if (expecting !== undefined) return { found: expecting, undecided: [] };
    const found = this.ofAllInterfaces(node);
    const undecided = here.filter(
      ({ spec }) => spec.interfaceName && spec.interfaceName !== "*" && !spec.expectedIPs?.length,
    );
    return { found, undecided };
  }

  ofAllInterfaces(node: string): HostEndpoint | undefined {
    return this.#endpoints.get(node)?.find(({ spec }) => spec.interfaceName === "*");
  }
}

function addressesOf({ spec }: Node): IpAddr[] {
  const others = (spec.addresses ?? []).map(({ address }) => address);
  return readable([spec.bgp?.ipv4Address, spec.bgp?.ipv6Address, ...others]);
}

function tunnelAddressesOf({ spec }: Node): IpAddr[] {
  const { ipv4VXLANTunnelAddr, ipv6VXLANTunnelAddr, bgp } = spec;
  return readable([bgp?.ipv4IPIPTunnelAddr, ipv4VXLANTunnelAddr, ipv6VXLANTunnelAddr]);
}

function readable(texts: readonly (string | undefined)[]): IpAddr[] {
  return texts.flatMap((text) => {
    try {
      return text === undefined ? [] : [parseInterfaceAddress(text).address];
    } catch {
      return [];
    }
  });
}

/** Whether the packet is for a failsafe port: at the host, or at the other end (facts 4.10). */
export function isFailsafe(
  packet: Packet,
  direction: Direction,
  { failsafeInbound, failsafeOutbound }: PolicySettings,
): boolean {
  const ports = direction === "Ingress" ? failsafeInbound : failsafeOutbound;
  return isOneOf(ports, packet, packet.destinationPort, direction);
}

/** Whether it looks like an answer from one: where nothing is tracked yet, such go through. */
export function isFailsafeAnswer(
  packet: Packet,
  direction: Direction,
  { failsafeInbound, failsafeOutbound }: PolicySettings,
): boolean {
  const ports = direction === "Ingress" ? failsafeOutbound : failsafeInbound;
  return isOneOf(ports, packet, packet.sourcePort, direction);
}

function isOneOf(
  ports: readonly FailsafePort[],
  { source, destination, protocol }: Packet,
  port: number | undefined,
  direction: Direction,
): boolean {
  const other = direction === "Ingress" ? source : destination;
  return ports.some(
    (one) =>
      one.protocol === protocol &&
      one.port === port &&
      (one.net === undefined || prefixHasAddress(one.net, other)),
  );
}
