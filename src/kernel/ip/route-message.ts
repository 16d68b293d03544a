import { type IpAddr, type IpFamily, ipBytes, ipFamily, ipFromBytes } from "../../lib/ip-addr.ts";
import {
  type Prefix,
  prefixAddress,
  prefixFamily,
  prefixLength,
  prefixOf,
} from "../../lib/prefix.ts";
import type { KernelRoute, RouteKind, RouteScope } from "../kernel.ts";
import { attributesOf, type MessageWriter, u16Of, u32Of } from "../netlink/message.ts";

/** Routes as rtnetlink messages (linux/rtnetlink.h, struct rtmsg). */

export const routeMessage = { new: 24, delete: 25, get: 26 } as const;

const attribute = {
  dst: 1,
  oif: 4,
  gateway: 5,
  priority: 6,
  prefsrc: 7,
  metrics: 8,
  multipath: 9,
  table: 15,
  via: 18,
  encapType: 21,
  encap: 22,
};
/** LWTUNNEL_ENCAP_IP6, and what it consists of (linux/lwtunnel.h). */
const encapIp6 = 4;
const encapAttribute = { destination: 2, source: 3 };
const metricMtu = 2;
const onlinkFlag = 4;
const clonedFlag = 0x200;

export const addressFamilies: Readonly<Record<IpFamily, number>> = { 4: 2, 6: 10 };

export function familyOf(afi: number | undefined): IpFamily | undefined {
  return afi === 2 ? 4 : afi === 10 ? 6 : undefined;
}

const kinds: readonly (RouteKind | undefined)[] = [
  undefined,
  "unicast",
  "local",
  undefined,
  undefined,
  undefined,
  "blackhole",
  "unreachable",
  "prohibit",
  "throw",
];
const scopes: Readonly<Record<RouteScope, number>> = {
  universe: 0,
  site: 200,
  link: 253,
  host: 254,
  nowhere: 255,
};

export function scopeName(value: number): RouteScope {
  const entry = Object.entries(scopes).find(([, number]) => number === value);
  return (entry?.[0] ?? "universe") as RouteScope;
}

/** The priority that the kernel gives an IPv6 route without one. */
const defaultPriorityV6 = 1024;

/** As the kernel keeps it: 0 is a priority of its own for IPv4, and means 1024 for IPv6. */
export function kernelPriority(route: Pick<KernelRoute, "destination" | "priority">): number {
  const isV6 = prefixFamily(route.destination) === 6;
  return isV6 && route.priority === 0 ? defaultPriorityV6 : route.priority;
}

/**
 * What a request for this route carries; the kernel's key is (table, destination, priority). For a
 * removal that is the key and the protocol. A removal without priority takes, of IPv4 routes that
 * differ in priority only, the one with the lowest.
 */
export function writeRoute(
  writer: MessageWriter,
  route: KernelRoute,
  { forDelete = false }: { readonly forDelete?: boolean } = {},
): void {
  const header = Buffer.alloc(12);
  header[0] = addressFamilies[prefixFamily(route.destination)];
  header[1] = prefixLength(route.destination);
  header[4] = route.table < 256 ? route.table : 0;
  header[5] = route.protocol;
  header[6] = forDelete ? 255 : scopes[route.scope];
  header[7] = forDelete ? 0 : kinds.indexOf(route.kind);
  header.writeUInt32LE(route.onlink === true ? onlinkFlag : 0, 8);
  writer.header(header);
  if (header[1] > 0) writer.attribute(attribute.dst, ipBytes(prefixAddress(route.destination)));
  writer.u32(attribute.table, route.table);
  writer.u32(attribute.priority, kernelPriority(route));
  if (forDelete) return;
  if (route.gateway !== undefined) {
    const { type, value } = gatewayAttribute(route.gateway, prefixFamily(route.destination));
    writer.attribute(type, value);
  }
  if (route.ifindex !== undefined) writer.u32(attribute.oif, route.ifindex);
  if (route.source !== undefined) writer.attribute(attribute.prefsrc, ipBytes(route.source));
  const { mtu, nextHops, encap } = route;
  if (encap !== undefined) writeEncap(writer, encap);
  if (mtu !== undefined) writer.nest(attribute.metrics, () => writer.u32(metricMtu, mtu));
  if (nextHops !== undefined)
    writer.attribute(attribute.multipath, multipath(nextHops, prefixFamily(route.destination)));
}

function writeEncap(
  writer: MessageWriter,
  { destination, source }: NonNullable<KernelRoute["encap"]>,
): void {
  writer.u16(attribute.encapType, encapIp6);
  writer.nest(attribute.encap, () => {
    writer.attribute(encapAttribute.destination, ipBytes(destination));
    writer.attribute(encapAttribute.source, ipBytes(source));
  });
}

/** A gateway of another family than the route's (RFC 8950) is a struct rtvia: family(2), address. */
function gatewayAttribute(
  gateway: IpAddr,
  routeFamily: IpFamily,
): { readonly type: number; readonly value: Uint8Array } {
  const address = ipBytes(gateway);
  const family = ipFamily(gateway);
  if (family === routeFamily) return { type: attribute.gateway, value: address };
  const via = Buffer.alloc(2 + address.length);
  via.writeUInt16LE(addressFamilies[family], 0);
  via.set(address, 2);
  return { type: attribute.via, value: via };
}

/** Selects what to list (since Linux 4.20: before, everything is listed). */
export function writeRouteFilter(
  writer: MessageWriter,
  family: IpFamily,
  filter: { readonly table?: number | undefined; readonly protocol?: number | undefined },
): void {
  const header = Buffer.alloc(12);
  header[0] = addressFamilies[family];
  header[5] = filter.protocol ?? 0;
  writer.header(header);
  if (filter.table !== undefined) writer.u32(attribute.table, filter.table);
}

/** Asks what the kernel would do with a packet. */
export function writeLookup(writer: MessageWriter, family: IpFamily, address: Uint8Array): void {
  const header = Buffer.alloc(12);
  header[0] = addressFamilies[family];
  header[1] = address.length * 8;
  writer.header(header).attribute(attribute.dst, address);
}

/** struct rtnexthop: length(2) flags(1) hops(1) ifindex(4), then attributes. */
function multipath(nextHops: NonNullable<KernelRoute["nextHops"]>, family: IpFamily): Buffer {
  return Buffer.concat(
    nextHops.map(({ gateway, ifindex, onlink, weight = 1 }) => {
      const via = gateway === undefined ? undefined : gatewayAttribute(gateway, family);
      const octets = via === undefined ? 0 : 4 + via.value.length;
      const entry = Buffer.alloc(8 + aligned(octets));
      entry.writeUInt16LE(entry.length, 0);
      entry[2] = onlink === true ? onlinkFlag : 0;
      entry[3] = weight - 1;
      entry.writeInt32LE(ifindex, 4);
      if (via !== undefined) {
        entry.writeUInt16LE(octets, 8);
        entry.writeUInt16LE(via.type, 10);
        entry.set(via.value, 12);
      }
      return entry;
    }),
  );
}

/** Netlink attributes begin at multiples of four octets. */
function aligned(octets: number): number {
  return (octets + 3) & ~3;
}

/**
 * Undefined for what is no route of ours to see: other families, multicast, and cache entries cloned
 * of a route unless `cloned` asks for them.
 */
export function readRoute(
  body: Buffer,
  options: { readonly cloned?: boolean } = {},
): KernelRoute | undefined {
  const family = familyOf(body[0]);
  const kind = kinds[body[7] ?? 0];
  if (family === undefined || kind === undefined || body.length < 12) return undefined;
  const flags = body.readUInt32LE(8);
  if ((flags & clonedFlag) !== 0 && options.cloned !== true) return undefined;
  const attributes = attributesOf(body, 12);
  const address = (type: number): IpAddr | undefined => addressOf(attributes.get(type));
  const gateway = gatewayOf(attributes);
  const source = address(attribute.prefsrc);
  const ifindex = u32Of(attributes.get(attribute.oif));
  const metrics = attributes.get(attribute.metrics);
  const mtu = metrics === undefined ? undefined : u32Of(attributesOf(metrics).get(metricMtu));
  const hops = attributes.get(attribute.multipath);
  const discard = kind !== "unicast" && kind !== "local";
  return {
    table: u32Of(attributes.get(attribute.table)) ?? body[4] ?? 0,
    destination: destinationOf(address(attribute.dst), family, body[1] ?? 0),
    priority: u32Of(attributes.get(attribute.priority)) ?? 0,
    kind,
    scope: scopeName(body[6] ?? 0),
    protocol: body[5] ?? 0,
    ...(gateway === undefined ? {} : { gateway }),
    // IPv6 shows discarding routes on lo.
    ...(ifindex === undefined || discard ? {} : { ifindex }),
    ...((flags & onlinkFlag) !== 0 ? { onlink: true } : {}),
    ...(source === undefined ? {} : { source }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(hops === undefined ? {} : { nextHops: readMultipath(hops) }),
    ...readEncap(attributes),
  };
}

function readEncap(attributes: ReadonlyMap<number, Buffer>): Pick<KernelRoute, "encap"> {
  const bytes = attributes.get(attribute.encap);
  if (bytes === undefined || u16Of(attributes.get(attribute.encapType)) !== encapIp6) return {};
  const ends = attributesOf(bytes);
  const destination = addressOf(ends.get(encapAttribute.destination));
  const source = addressOf(ends.get(encapAttribute.source));
  if (destination === undefined || source === undefined) return {};
  return { encap: { destination, source } };
}

function readMultipath(bytes: Buffer): NonNullable<KernelRoute["nextHops"]> {
  const nextHops: { ifindex: number; gateway?: IpAddr; onlink?: boolean; weight: number }[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 8 || at + length > bytes.length) break;
    const gateway = gatewayOf(attributesOf(bytes.subarray(at + 8, at + length)));
    nextHops.push({
      ifindex: bytes.readInt32LE(at + 4),
      weight: (bytes[at + 3] ?? 0) + 1,
      ...(gateway === undefined ? {} : { gateway }),
      ...(((bytes[at + 2] ?? 0) & onlinkFlag) !== 0 ? { onlink: true } : {}),
    });
    at += aligned(length);
  }
  return nextHops;
}

function gatewayOf(attributes: ReadonlyMap<number, Buffer>): IpAddr | undefined {
  return addressOf(attributes.get(attribute.gateway) ?? attributes.get(attribute.via)?.subarray(2));
}

export function addressOf(value: Buffer | undefined): IpAddr | undefined {
  return value?.length === 4 || value?.length === 16 ? ipFromBytes(value) : undefined;
}

function destinationOf(address: IpAddr | undefined, family: IpFamily, length: number): Prefix {
  return prefixOf(address ?? ((family === 4 ? "0.0.0.0" : "::") as IpAddr), length);
}
