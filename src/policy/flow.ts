import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import { InputError } from "../lib/errors.ts";
import { type IpAddr, ipFamily, isIpAddr, parseIpAddr } from "../lib/ip-addr.ts";
import type { PolicyCluster } from "./cluster.ts";
import { type Packet, pingPacket } from "./packet.ts";
import { hasPorts, protocolName, protocolNumber } from "./protocols.ts";

/** One end as a person names it, and the addresses that it has. */
export interface FlowEnd {
  /** "shop/web", "node1" or an address. */
  readonly name: string;
  readonly addresses: readonly IpAddr[];
}

/** What a connection is to. */
export interface FlowPort {
  /** "80/tcp", "icmp". */
  readonly name: string;
  readonly protocol: number;
  readonly port?: number;
}

/**
 * The pod "NAMESPACE/POD", the node of this name, or an address.
 *
 * @throws {InputError} when there is no such thing, or it has no address.
 */
export function flowEnd(text: string, { endpoints, nodes }: PolicyCluster): FlowEnd {
  if (isIpAddr(text)) return { name: text, addresses: [parseIpAddr(text)] };
  const endpoint = endpoints.find((one) => podName(one) === text);
  const node = nodes.find(({ metadata }) => metadata.name === text);
  const nets = endpoint?.spec.ipNetworks ?? [
    ...(node?.spec.bgp?.ipv4Address === undefined ? [] : [node.spec.bgp.ipv4Address]),
    ...(node?.spec.bgp?.ipv6Address === undefined ? [] : [node.spec.bgp.ipv6Address]),
  ];
  const addresses = nets.map((net) => parseIpAddr(net.split("/")[0] ?? ""));
  if (addresses.length > 0) return { name: text, addresses };
  const why = endpoint === undefined && node === undefined ? "is none" : "has no address";
  throw new InputError(
    `Cannot find "${text}": it ${why}; write NAMESPACE/POD, a node or an address`,
  );
}

/** "shop/web": the namespace and name of the pod, or of the endpoint where there is no pod. */
export function podName({ metadata, spec }: WorkloadEndpoint): string {
  return `${metadata.namespace ?? "default"}/${spec.pod ?? metadata.name}`;
}

/**
 * "80/tcp", "80" (TCP), or a protocol without ports: "icmp" is an echo request.
 *
 * @throws {InputError}
 */
export function flowPort(text: string): FlowPort {
  const [, portText, protocolText = "tcp"] =
    /^(?:(\d{1,5})(?:\/|$))?([A-Za-z0-9]+)?$/.exec(text) ?? [];
  const protocol = protocolNumber(protocolText);
  const port = portText === undefined ? undefined : Number(portText);
  if (
    protocol === undefined ||
    (port ?? 0) > 65_535 ||
    (port !== undefined) !== hasPorts(protocol)
  ) {
    throw new InputError(`Cannot use port "${text}": it must be like 80/tcp, 53/udp or icmp`);
  }
  const name = protocolName(protocol);
  if (port === undefined) return { name, protocol };
  return { name: `${port}/${name}`, protocol, port };
}

/**
 * The first packet between two ends, of a family that both have, IPv4 before IPv6.
 *
 * @throws {InputError} when they have none in common.
 */
export function flowPacket(from: FlowEnd, to: FlowEnd, { protocol, port }: FlowPort): Packet {
  for (const family of [4, 6] as const) {
    const source = from.addresses.find((address) => ipFamily(address) === family);
    const destination = to.addresses.find((address) => ipFamily(address) === family);
    if (source === undefined || destination === undefined) continue;
    if (protocol === 1 || protocol === 58) return pingPacket(source, destination);
    return {
      source,
      destination,
      protocol,
      ...(port === undefined ? {} : { destinationPort: port }),
    };
  }
  throw new InputError(`Cannot send from ${from.name} to ${to.name}: no address family in common`);
}
