import { endianness } from "node:os";
import type { IpFamily } from "../lib/ip-addr.ts";

/** A table of the kernel's nf_tables that iptables could have made. */
export interface NftTable {
  readonly family: IpFamily;
  readonly table: string;
}

const nftablesSubsystem = 10;
const netlinkHeader = 16;
const netfilterHeader = 4;
/** NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE and more: all are 1. */
const tableAttribute = 1;
/** NFT_MSG_NEWGEN ends a transaction and belongs to no table; NFT_MSG_TRACE is no change. */
const noTable = new Set([15, 17]);
const families = new Map<number, IpFamily>([
  [2, 4],
  [10, 6],
]);
const littleEndian = endianness() === "LE";

/**
 * Tables that one datagram of the kernel's nf_tables events is about: those of families ip and ip6.
 * Never throws; octets that are no such message are skipped.
 *
 * nlmsghdr: length u32, type u16 (subsystem << 8 | message), flags u16, sequence u32, port u32;
 * nfgenmsg: family u8, version u8, resource u16; then attributes: length u16, type u16, value.
 */
export function changedTables(datagram: Buffer): NftTable[] {
  const found: NftTable[] = [];
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  let at = 0;
  while (at + netlinkHeader + netfilterHeader <= datagram.length) {
    const length = view.getUint32(at, littleEndian);
    if (length < netlinkHeader || at + length > datagram.length) break;
    const type = view.getUint16(at + 4, littleEndian);
    const family = families.get(datagram[at + netlinkHeader] ?? 0);
    if (type >> 8 === nftablesSubsystem && !noTable.has(type & 0xff) && family !== undefined) {
      const attributes = datagram.subarray(at + netlinkHeader + netfilterHeader, at + length);
      const table = tableOf(attributes);
      if (table !== undefined) found.push({ family, table });
    }
    at += (length + 3) & ~3;
  }
  return found;
}

function tableOf(attributes: Buffer): string | undefined {
  const view = new DataView(attributes.buffer, attributes.byteOffset, attributes.byteLength);
  let at = 0;
  while (at + 4 <= attributes.length) {
    const length = view.getUint16(at, littleEndian);
    if (length < 4 || at + length > attributes.length) return undefined;
    if ((view.getUint16(at + 2, littleEndian) & 0x3fff) === tableAttribute) {
      return attributes.toString("latin1", at + 4, at + length).replace(/\0.*$/s, "");
    }
    at += (length + 3) & ~3;
  }
  return undefined;
}
