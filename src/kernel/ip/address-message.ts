import { ipBytes, ipFamily } from "../../lib/ip-addr.ts";
import type { AddressFilter, KernelAddress, NewAddress } from "../kernel.ts";
import { attributesOf, type MessageWriter } from "../netlink/message.ts";
import { addressFamilies, addressOf, scopeName } from "./route-message.ts";

/** Addresses as rtnetlink messages (linux/if_addr.h, struct ifaddrmsg). */

export const addressMessage = { new: 20, delete: 21, get: 22 } as const;

const attribute = { address: 1, local: 2, flags: 8 };
const flagTemporary = 1;
const flagNoDad = 2;
const scopeNumbers: Readonly<Record<string, number>> = {
  universe: 0,
  site: 200,
  link: 253,
  host: 254,
};

export function writeAddress(writer: MessageWriter, address: NewAddress): void {
  const header = Buffer.alloc(8);
  header[0] = addressFamilies[ipFamily(address.address)];
  header[1] = address.length;
  header[3] = scopeNumbers[address.scope ?? "universe"] ?? 0;
  header.writeUInt32LE(address.ifindex, 4);
  writer.header(header);
  writer.attribute(attribute.local, ipBytes(address.address));
  writer.attribute(attribute.address, ipBytes(address.address));
  if (address.noDad === true && header[0] === addressFamilies[6])
    writer.u32(attribute.flags, flagNoDad);
}

/** What a list is asked for: the kernel (from 4.20) tells no others. */
export function writeAddressFilter(
  writer: MessageWriter,
  { ifindex = 0, family }: AddressFilter,
): void {
  const header = Buffer.alloc(8);
  header[0] = family === undefined ? 0 : addressFamilies[family];
  header.writeUInt32LE(ifindex, 4);
  writer.header(header);
}

export function readAddress(body: Buffer): KernelAddress | undefined {
  if (body.length < 8) return undefined;
  const attributes = attributesOf(body, 8);
  const address = addressOf(attributes.get(attribute.local) ?? attributes.get(attribute.address));
  if (address === undefined) return undefined;
  // Of IPv4 the same flag marks a second address of a network.
  const temporary = ipFamily(address) === 6 && ((body[2] ?? 0) & flagTemporary) !== 0;
  return {
    ifindex: body.readUInt32LE(4),
    address,
    length: body[1] ?? 0,
    scope: scopeName(body[3] ?? 0),
    ...(temporary ? { temporary } : {}),
  };
}
