import { bufferAddress } from "../netlink/libc.ts";

/** Packets that one call takes or gives: more are no faster. */
export const batchSize = 64;
/** Longest frame: a device's MTU is not larger. */
const slotBytes = 9216 + 64;
export const ethernetHeaderBytes = 14;
const sockaddrBytes = 16;
const iovecBytes = 16;
/** struct mmsghdr of 64-bit machines: struct msghdr(56), length(4), pad(4). */
const headerBytes = 64;
const offset = { nameLength: 8, iovec: 16, iovecCount: 24, received: 56 } as const;
const AF_INET = 2;

/**
 * Room for packets and their addresses, as recvmmsg(2) and sendmmsg(2) want it; before each packet there
 * is room for an Ethernet header. Made once: a packet costs no allocation.
 */
export class PacketBatch {
  readonly data: Buffer = Buffer.alloc(batchSize * slotBytes);
  readonly #names = Buffer.alloc(batchSize * sockaddrBytes);
  readonly #iovecs = Buffer.alloc(batchSize * iovecBytes);
  readonly #headers = Buffer.alloc(batchSize * headerBytes);
  readonly #dataAt = Number(bufferAddress(this.data));
  readonly #headersAt = Number(bufferAddress(this.#headers));

  constructor() {
    const [names, iovecs] = [bufferAddress(this.#names), bufferAddress(this.#iovecs)];
    for (let index = 0; index < batchSize; index++) {
      const iovec = index * iovecBytes;
      const packet = BigInt(this.#dataAt + index * slotBytes + ethernetHeaderBytes);
      this.#iovecs.writeBigUInt64LE(packet, iovec);
      const header = index * headerBytes;
      this.#headers.writeBigUInt64LE(names + BigInt(index * sockaddrBytes), header);
      this.#headers.writeBigUInt64LE(iovecs + BigInt(iovec), header + offset.iovec);
      this.#headers.writeBigUInt64LE(1n, header + offset.iovecCount);
      this.#names.writeUInt16LE(AF_INET, index * sockaddrBytes);
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
    for (let index = 0; index < count; index++) {
      this.#headers.writeUInt32LE(sockaddrBytes, index * headerBytes + offset.nameLength);
      this.#setLength(index, slotBytes - ethernetHeaderBytes);
    }
  }

  /** Packet `index` is of `length` octets and goes to an IPv4 address, as a number, and a port. */
  address(
    index: number,
    length: number,
    to: { readonly host: number; readonly port: number },
  ): void {
    this.#setLength(index, length);
    this.#names.writeUInt16BE(to.port, index * sockaddrBytes + 2);
    this.#names.writeUInt32BE(to.host, index * sockaddrBytes + 4);
  }

  /** Octets of packet `index`, as it was received. */
  received(index: number): number {
    return this.#headers.readUInt32LE(index * headerBytes + offset.received);
  }

  /** IPv4 address that packet `index` came from, as a number. */
  sender(index: number): number {
    return this.#names.readUInt32BE(index * sockaddrBytes + 4);
  }

  #setLength(index: number, length: number): void {
    this.#iovecs.writeUInt32LE(length, index * iovecBytes + 8);
  }
}
