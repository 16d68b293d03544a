import { type IpAddr, ipBytes } from "../../lib/ip-addr.ts";
import { type MacAddr, macBytes, macFromBytes } from "../../lib/mac.ts";
import type { KernelLink, VethPair, VxlanLink } from "../kernel.ts";
import { attributesOf, type MessageWriter, textOf, u16beOf, u32Of } from "../netlink/message.ts";
import { addressOf } from "./route-message.ts";

/** Links as rtnetlink messages (linux/if_link.h, struct ifinfomsg). */

export const linkMessage = { new: 16, delete: 17, get: 18 } as const;

const attribute = {
  address: 1,
  ifname: 3,
  mtu: 4,
  link: 5,
  master: 10,
  operstate: 16,
  linkinfo: 18,
  netnsFd: 28,
  txQueues: 31,
  rxQueues: 32,
};
const infoKind = 1;
const infoData = 2;
const vethPeer = 1;
const vxlan = { id: 1, link: 3, local: 4, learning: 7, port: 15, local6: 17 };
/** linux/if_tunnel.h. */
const tunnel = { local: 2, flags: 8, protocol: 9, pmtuDiscovery: 10, collectMetadata: 19 };
/** ip6tnl puts no "tunnel encapsulation limit" before its packets (RFC 2473 section 4.1.1). */
const ignoreEncapsulationLimit = 1;
const protocolIpv6 = 41;
const familyUnspecified = 0;
const flagUp = 1;
const flagRunning = 0x40;

/** struct ifinfomsg: family(1) pad(1) type(2) index(4) flags(4) change(4). */
function header(ifindex: number, up?: boolean): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32LE(ifindex, 4);
  if (up !== undefined) {
    bytes.writeUInt32LE(up ? flagUp : 0, 8);
    bytes.writeUInt32LE(flagUp, 12);
  }
  return bytes;
}

export function writeLinkRequest(writer: MessageWriter, target: number | string): void {
  writer.header(header(typeof target === "number" ? target : 0));
  if (typeof target === "string") writer.text(attribute.ifname, target);
}

export interface LinkChange {
  readonly up?: boolean;
  readonly mtu?: number;
  readonly mac?: MacAddr;
  readonly master?: number;
  readonly netnsFd?: number;
  readonly name?: string;
}

export function writeLinkChange(writer: MessageWriter, ifindex: number, change: LinkChange): void {
  writer.header(header(ifindex, change.up));
  if (change.name !== undefined) writer.text(attribute.ifname, change.name);
  if (change.mtu !== undefined) writer.u32(attribute.mtu, change.mtu);
  if (change.mac !== undefined) writer.attribute(attribute.address, macBytes(change.mac));
  if (change.master !== undefined) writer.u32(attribute.master, change.master);
  if (change.netnsFd !== undefined) writer.u32(attribute.netnsFd, change.netnsFd);
}

/** The peer must not be born up: the kernel refuses it (ENOTCONN). */
export function writeVeth(writer: MessageWriter, pair: VethPair): void {
  const { queues = 1 } = pair;
  writer.header(header(0, true));
  writeEnd(writer, pair, queues);
  writer.nest(attribute.linkinfo, () => {
    writer.text(infoKind, "veth");
    writer.nest(infoData, () => {
      writer.nest(vethPeer, () => {
        writer.header(header(0));
        writeEnd(writer, pair.peer, queues);
        if (pair.peer.netnsFd !== undefined) writer.u32(attribute.netnsFd, pair.peer.netnsFd);
      });
    });
  });
}

function writeEnd(
  writer: MessageWriter,
  end: Pick<VethPair, "name" | "mac" | "mtu">,
  queues: number,
): void {
  writer.text(attribute.ifname, end.name);
  if (end.mtu !== undefined) writer.u32(attribute.mtu, end.mtu);
  if (end.mac !== undefined) writer.attribute(attribute.address, macBytes(end.mac));
  if (queues === 1) return;
  for (const direction of [attribute.txQueues, attribute.rxQueues]) writer.u32(direction, queues);
}

export function writeBridge(writer: MessageWriter, name: string): void {
  writer.header(header(0, true));
  writer.text(attribute.ifname, name);
  writer.nest(attribute.linkinfo, () => writer.text(infoKind, "bridge"));
}

/** Its ends are any: each route says where its packets go. */
export function writeIpip(writer: MessageWriter, name: string): void {
  writer.header(header(0));
  writer.text(attribute.ifname, name);
  writer.nest(attribute.linkinfo, () => writer.text(infoKind, "ipip"));
}

/** "External": it has no ends, routes tell them. */
export function writeIp6Tunnel(writer: MessageWriter, name: string, mtu: number): void {
  writeTunnel(writer, { name, mtu, kind: "ip6tnl" }, () => {
    writer.attribute(tunnel.collectMetadata, Buffer.alloc(0));
    writer.u32(tunnel.flags, ignoreEncapsulationLimit);
    writer.u8(tunnel.protocol, protocolIpv6);
  });
}

export function writeSit(
  writer: MessageWriter,
  name: string,
  { local, mtu }: { readonly local: IpAddr; readonly mtu: number },
): void {
  writeTunnel(writer, { name, mtu, kind: "sit" }, () => {
    writer.attribute(tunnel.local, ipBytes(local));
    writer.u8(tunnel.protocol, protocolIpv6);
    writer.u8(tunnel.pmtuDiscovery, 1);
  });
}

function writeTunnel(
  writer: MessageWriter,
  { name, mtu, kind }: { readonly name: string; readonly mtu: number; readonly kind: string },
  fill: () => void,
): void {
  writer.header(header(0));
  writer.text(attribute.ifname, name);
  writer.u32(attribute.mtu, mtu);
  writer.nest(attribute.linkinfo, () => {
    writer.text(infoKind, kind);
    writer.nest(infoData, fill);
  });
}

export function writeIfb(writer: MessageWriter, name: string, mtu: number): void {
  writer.header(header(0, true));
  writer.text(attribute.ifname, name);
  writer.u32(attribute.mtu, mtu);
  writer.nest(attribute.linkinfo, () => writer.text(infoKind, "ifb"));
}

export function writeWireguard(writer: MessageWriter, name: string, mtu: number): void {
  writer.header(header(0));
  writer.text(attribute.ifname, name);
  writer.u32(attribute.mtu, mtu);
  writer.nest(attribute.linkinfo, () => writer.text(infoKind, "wireguard"));
}

export function writeVxlan(
  writer: MessageWriter,
  link: VxlanLink & {
    readonly name: string;
    readonly mtu: number;
    readonly mac: MacAddr;
  },
): void {
  writer.header(header(0, true));
  writer.text(attribute.ifname, link.name);
  writer.u32(attribute.mtu, link.mtu);
  writer.attribute(attribute.address, macBytes(link.mac));
  writer.nest(attribute.linkinfo, () => {
    writer.text(infoKind, "vxlan");
    writer.nest(infoData, () => {
      writer.u32(vxlan.id, link.vni);
      if (link.parentIfindex !== undefined) writer.u32(vxlan.link, link.parentIfindex);
      if (link.local !== undefined) {
        const bytes = ipBytes(link.local);
        writer.attribute(bytes.length === 4 ? vxlan.local : vxlan.local6, bytes);
      }
      writer.u8(vxlan.learning, link.learning ? 1 : 0);
      writer.u16be(vxlan.port, link.port);
    });
  });
}

/** Undefined for what tells of a link's part only: a bridge's port leaving is no link that goes. */
export function readLink(body: Buffer): KernelLink | undefined {
  if (body.length < 16 || body[0] !== familyUnspecified) return undefined;
  const attributes = attributesOf(body, 16);
  const name = textOf(attributes.get(attribute.ifname));
  if (name === undefined) return undefined;
  const flags = body.readUInt32LE(8);
  const address = attributes.get(attribute.address);
  const info = attributes.get(attribute.linkinfo);
  const infoAttributes = info === undefined ? undefined : attributesOf(info);
  const type = textOf(infoAttributes?.get(infoKind));
  const data = infoAttributes?.get(infoData);
  const linkIfindex = u32Of(attributes.get(attribute.link));
  return {
    ifindex: body.readInt32LE(4),
    name,
    ...(type === undefined ? {} : { type }),
    up: (flags & flagUp) !== 0,
    running: (flags & flagUp) !== 0 && (flags & flagRunning) !== 0,
    mtu: u32Of(attributes.get(attribute.mtu)) ?? 0,
    ...(address?.length === 6 ? { mac: macFromBytes(address) } : {}),
    ...(linkIfindex === undefined ? {} : { linkIfindex }),
    ...(type === "vxlan" && data !== undefined ? { vxlan: readVxlan(data) } : {}),
    ...(type === "sit" && data !== undefined ? readSit(data) : {}),
  };
}

function readSit(data: Buffer): Pick<KernelLink, "sitLocal"> {
  const local = addressOf(attributesOf(data).get(tunnel.local));
  return local === undefined ? {} : { sitLocal: local };
}

function readVxlan(data: Buffer): VxlanLink {
  const attributes = attributesOf(data);
  const local = addressOf(attributes.get(vxlan.local) ?? attributes.get(vxlan.local6));
  const parentIfindex = u32Of(attributes.get(vxlan.link));
  return {
    vni: u32Of(attributes.get(vxlan.id)) ?? 0,
    port: u16beOf(attributes.get(vxlan.port)) ?? 0,
    ...(local === undefined ? {} : { local }),
    ...(parentIfindex ? { parentIfindex } : {}),
    learning: (attributes.get(vxlan.learning)?.[0] ?? 0) !== 0,
  };
}
