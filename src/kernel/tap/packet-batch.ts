import { type IpAddr, type IpFamily, ipBytes, ipFamily } from "../../lib/ip-addr.ts";
import { bufferAddress } from "../netlink/libc.ts";

/** Packets that one call takes or gives: more are no faster. */
export const batchSize = 64;
/** Octets of the longest IP packet: a device's MTU must not be larger. */
export const longestPacket = 9216;
const slotBytes = longestPacket + 64;
export const ethernetHeaderBytes = 14;
/** Room for struct sockaddr_in6. */
const nameBytes = 32;
/** Of struct sockaddr_in and sockaddr_in6: their number, length, and where the address is. */
const sockaddrs = {
  4: { number: 2, bytes: 16, address: 4 },
  6: { number: 10, bytes: 28, address: 8 },
} as const;
const iovecBytes = 16;
/** struct mmsghdr of 64-bit machines: struct msghdr(56), length(4), pad(4). */
const headerBytes = 64;
const offset = { nameLength: 8, iovec: 16, iovecCount: 24, received: 56 } as const;

/** An address that is looked up for each packet: an IPv4 one as a number, one of IPv6 as its octets in a string. */
export type SenderKey = number | string;

export function senderKey(address: IpAddr): SenderKey {
  return keyAt(Buffer.from(ipBytes(address)), 0, ipFamily(address));
}

function keyAt(bytes: Buffer, at: number, family: IpFamily): SenderKey {
  return family === 4 ? bytes.readUInt32BE(at) : bytes.toString("latin1", at, at + 16);
}

/**
 * Room for packets and their addresses, as recvmmsg(2) and sendmmsg(2) want it; before each packet there
 * is room for an Ethernet header. Made once: a packet costs no allocation.
 */
export class PacketBatch {
  readonly data: Buffer = Buffer.alloc(batchSize * slotBytes);
  readonly #family: IpFamily;
  readonly #names = Buffer.alloc(batchSize * nameBytes);
  readonly #iovecs = Buffer.alloc(batchSize * iovecBytes);
  readonly #headers = Buffer.alloc(batchSize * headerBytes);
  readonly #dataAt = Number(bufferAddress(this.data));
  readonly #headersAt = Number(bufferAddress(this.#headers));

  /** `family`: of the socket. */
  constructor(family: IpFamily) {
    this.#family = family;
    const [names, iovecs] = [bufferAddress(this.#names), bufferAddress(this.#iovecs)];
    for (let index = 0; index < batchSize; index++) {
      const iovec = index * iovecBytes;
      const packet = BigInt(this.#dataAt + index * slotBytes + ethernetHeaderBytes);
      this.#iovecs.writeBigUInt64LE(packet, iovec);
      const header = index * headerBytes;
      this.#headers.writeBigUInt64LE(names + BigInt(index * nameBytes), header);
      this.#headers.writeBigUInt64LE(iovecs + BigInt(iovec), header + offset.iovec);
      this.#headers.writeBigUInt64LE(1n, header + offset.iovecCount);
      this.#names.writeUInt16LE(sockaddrs[family].number, index * nameBytes);
    }
    this.expectAny(batchSize);
  }

  /** Where frame `index`, its Ethernet header first, is in `data`. */
  frameOffset(index: number): number {
    return index * slotBytes;
  }

  /** Memory address of frame `index`. */
  frameAddress(index: number): number {
    return this.#dataAt + index * slotBytes;
  }

  get frameLimit(): number {
    return slotBytes;
  }

  /** Memory address of the headers from `index` on. */
  headersFrom(index: number): number {
    return this.#headersAt + index * headerBytes;
  }

  /** The first `count` are ready to be received into. */
  expectAny(count: number): void {
    const { bytes } = sockaddrs[this.#family];
    for (let index = 0; index < count; index++) {
      this.#headers.writeUInt32LE(bytes, index * headerBytes + offset.nameLength);
      this.#setLength(index, slotBytes - ethernetHeaderBytes);
    }
  }

  /** Packet `index` is of `length` octets and goes to an address, as its octets, and a port. */
  address(
    index: number,
    length: number,
    to: { readonly host: Uint8Array; readonly port: number },
  ): void {
    const at = index * nameBytes;
    this.#setLength(index, length);
    this.#names.writeUInt16BE(to.port, at + 2);
    this.#names.set(to.host, at + sockaddrs[this.#family].address);
  }

  /** Octets of packet `index`, as it was received. */
  received(index: number): number {
    return this.#headers.readUInt32LE(index * headerBytes + offset.received);
  }

  /** Address that packet `index` came from, as `senderKey` has it. */
  sender(index: number): SenderKey {
    return keyAt(this.#names, index * nameBytes + sockaddrs[this.#family].address, this.#family);
  }

  #setLength(index: number, length: number): void {
    this.#iovecs.writeUInt32LE(length, index * iovecBytes + 8);
  }
}
