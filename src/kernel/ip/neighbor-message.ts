import { ipBytes, ipFamily } from "../../lib/ip-addr.ts";
import { macBytes, macFromBytes } from "../../lib/mac.ts";
import type { FdbEntry, KernelNeighbor } from "../kernel.ts";
import { attributesOf, type MessageWriter } from "../netlink/message.ts";
import { addressFamilies, addressOf } from "./route-message.ts";

/** Neighbors and VXLAN forwarding entries as rtnetlink messages (linux/neighbour.h, struct ndmsg). */

export const neighborMessage = { new: 28, delete: 29, get: 30 } as const;

export const familyBridge = 7;
const attribute = { dst: 1, lladdr: 2 };
const statePermanent = 0x80;
const stateNoArp = 0x40;
const flagSelf = 2;

/** struct ndmsg: family(1) pad(3) ifindex(4) state(2) flags(1) type(1). */
function header(family: number, ifindex: number, state: number, flags = 0): Buffer {
  const bytes = Buffer.alloc(12);
  bytes[0] = family;
  bytes.writeInt32LE(ifindex, 4);
  bytes.writeUInt16LE(state, 8);
  bytes[10] = flags;
  return bytes;
}

export function writeNeighbor(writer: MessageWriter, neighbor: KernelNeighbor): void {
  const family = addressFamilies[ipFamily(neighbor.address)];
  writer.header(header(family, neighbor.ifindex, statePermanent));
  writer.attribute(attribute.dst, ipBytes(neighbor.address));
  if (neighbor.mac !== undefined) writer.attribute(attribute.lladdr, macBytes(neighbor.mac));
}

export function writeFdbEntry(writer: MessageWriter, entry: FdbEntry): void {
  writer.header(header(familyBridge, entry.ifindex, statePermanent | stateNoArp, flagSelf));
  writer.attribute(attribute.lladdr, macBytes(entry.mac));
  writer.attribute(attribute.dst, ipBytes(entry.destination));
}

export function writeNeighborFilter(writer: MessageWriter, family: number, ifindex = 0): void {
  writer.header(header(family, 0, 0));
  if (ifindex !== 0) writer.u32(8, ifindex);
}

export function readNeighbor(body: Buffer): KernelNeighbor | undefined {
  if (body.length < 12 || body[0] === familyBridge) return undefined;
  const attributes = attributesOf(body, 12);
  const address = addressOf(attributes.get(attribute.dst));
  if (address === undefined) return undefined;
  const mac = attributes.get(attribute.lladdr);
  return {
    ifindex: body.readInt32LE(4),
    address,
    ...(mac?.length === 6 ? { mac: macFromBytes(mac) } : {}),
    state: (body.readUInt16LE(8) & statePermanent) !== 0 ? "permanent" : "other",
  };
}

/** Undefined for entries without a remote host. */
export function readFdbEntry(body: Buffer): FdbEntry | undefined {
  if (body.length < 12 || body[0] !== familyBridge) return undefined;
  const attributes = attributesOf(body, 12);
  const destination = addressOf(attributes.get(attribute.dst));
  const mac = attributes.get(attribute.lladdr);
  if (destination === undefined || mac?.length !== 6) return undefined;
  return { ifindex: body.readInt32LE(4), mac: macFromBytes(mac), destination };
}
