import { type IpAddr, ipBytes, ipFamily } from "../../lib/ip-addr.ts";
import { macBytes } from "../../lib/mac.ts";
import { bufferAddress, libc } from "../netlink/libc.ts";
import { openUdpSocket } from "../udp-socket.ts";
import {
  batchSize,
  ethernetHeaderBytes,
  longestPacket,
  PacketBatch,
  type SenderKey,
  senderKey,
} from "./packet-batch.ts";
import { tunnelMac } from "./tunnel-mac.ts";

const POLLIN = 1;
const POLLERR = 8;
const POLLHUP = 16;
const POLLNVAL = 32;
const MSG_DONTWAIT = 0x40;
const pollfdBytes = 8;
/** Batches of each direction before the other's turn, and before anything else is looked at. */
const batchesInTurn = 4;
const macOctets = 6;
const etherTypes: Readonly<Record<number, number>> = { 4: 0x0800, 6: 0x86dd };

export interface CopierConfig {
  readonly tap: number;
  readonly udp: number;
  /** An eventfd: `wait` returns when it has been written to. */
  readonly wake: number;
  /** Address of this node, which the UDP socket is bound to. */
  readonly ownNode: IpAddr;
  /** UDP port of all nodes. */
  readonly port: number;
}

/**
 * Copies packets between a TAP device and a UDP socket, in batches: the IP packet of a frame is a
 * datagram's payload, as flannel's udp backend has it. What comes from who is no peer is dropped, and so
 * is what is no IP packet or goes to who is no peer.
 */
export class PacketCopier {
  readonly #config: CopierConfig;
  readonly #out: PacketBatch;
  readonly #in: PacketBatch;
  readonly #pollfds = Buffer.alloc(3 * pollfdBytes);
  readonly #pollfdsAt = Number(bufferAddress(this.#pollfds));
  /** By MAC address, as a number: octets of the other nodes' addresses. */
  #hosts: ReadonlyMap<number, Uint8Array> = new Map();
  /** MAC addresses of the other nodes, as numbers, by their own. */
  #macs: ReadonlyMap<SenderKey, number> = new Map();
  /** Packets since the start. */
  readonly counts = { sent: 0, received: 0, strangers: 0, dropped: 0 };

  constructor(config: CopierConfig) {
    this.#config = config;
    const family = ipFamily(config.ownNode);
    this.#out = new PacketBatch(family);
    this.#in = new PacketBatch(family);
    [config.tap, config.udp, config.wake].forEach((fd, index) => {
      this.#pollfds.writeInt32LE(fd, index * pollfdBytes);
      this.#pollfds.writeInt16LE(POLLIN, index * pollfdBytes + 4);
    });
    const header = macBytes(tunnelMac(config.ownNode));
    for (let index = 0; index < batchSize; index++) {
      this.#in.data.set(header, this.#in.frameOffset(index));
    }
  }

  /** Addresses of the other nodes, of this one's family. Of two with one MAC address none is a peer. */
  set peers(peers: Iterable<IpAddr>) {
    const byMac = Map.groupBy(new Set(peers), macNumber);
    const alone = [...byMac].flatMap(([mac, [node, other]]) =>
      node === undefined || other !== undefined ? [] : [{ mac, node }],
    );
    this.#hosts = new Map(alone.map(({ mac, node }) => [mac, ipBytes(node)]));
    this.#macs = new Map(alone.map(({ mac, node }) => [senderKey(node), mac]));
  }

  /**
   * Copies what there is, and waits for more, in this thread, until the eventfd is written to.
   *
   * @throws {NetlinkError} when the device is gone.
   */
  run(): void {
    for (;;) {
      let isBusy = true;
      for (let turn = 0; isBusy && turn < batchesInTurn; turn++) {
        isBusy = this.#sendBatch();
        isBusy = this.#receiveBatch() || isBusy;
      }
      if (this.#isWoken(isBusy ? 0 : -1)) return;
    }
  }

  #isWoken(timeoutMs: number): boolean {
    if (libc.pollAt(this.#pollfdsAt, 3, timeoutMs) < 0) return false;
    const happened = (index: number) => this.#pollfds.readInt16LE(index * pollfdBytes + 6);
    if ((happened(0) & (POLLERR | POLLHUP | POLLNVAL)) !== 0) {
      throw new Error("the tunnel's device is gone");
    }
    if (happened(2) === 0) return false;
    libc.read(this.#config.wake, Buffer.alloc(8), 8);
    return true;
  }

  /** @returns whether there may be more. */
  #sendBatch(): boolean {
    const { tap, udp, port } = this.#config;
    const out = this.#out;
    let count = 0;
    let isEmpty = false;
    // What goes to nobody counts too: else a flood of it would hold up all else.
    for (let reads = 0; reads < batchSize && !isEmpty; reads++) {
      const length = libc.readAt(tap, out.frameAddress(count), out.frameLimit);
      if (length < ethernetHeaderBytes) isEmpty = true;
      else {
        const host = this.#hosts.get(out.data.readUIntBE(out.frameOffset(count), macOctets));
        if (host === undefined) this.counts.dropped++;
        else out.address(count++, length - ethernetHeaderBytes, { host, port });
      }
    }
    if (count > 0) this.#send(udp, count);
    return !isEmpty;
  }

  /** What the socket has no room for is lost, as on any link. */
  #send(udp: number, count: number): void {
    for (let done = 0; done < count; ) {
      const sent = libc.sendmmsg(udp, this.#out.headersFrom(done), count - done, MSG_DONTWAIT);
      this.counts.sent += Math.max(sent, 0);
      if (sent <= 0) this.counts.dropped++;
      // One that is refused does not hold up those behind it.
      done += Math.max(sent, 1);
    }
  }

  #receiveBatch(): boolean {
    const { tap, udp } = this.#config;
    const batch = this.#in;
    const count = libc.recvmmsg(udp, batch.headersFrom(0), batchSize, MSG_DONTWAIT, 0);
    if (count <= 0) return false;
    for (let index = 0; index < count; index++) {
      const length = batch.received(index);
      const at = batch.frameOffset(index);
      const mac = this.#macs.get(batch.sender(index));
      const type = etherTypes[(batch.data[at + ethernetHeaderBytes] ?? 0) >> 4];
      if (mac === undefined) this.counts.strangers++;
      else if (type === undefined || length === 0 || length > longestPacket) this.counts.dropped++;
      else {
        batch.data.writeUIntBE(mac, at + macOctets, macOctets);
        batch.data.writeUInt16BE(type, at + 12);
        libc.writeAt(tap, batch.frameAddress(index), length + ethernetHeaderBytes);
        this.counts.received++;
      }
    }
    batch.expectAny(count);
    return count === batchSize;
  }
}

function macNumber(node: IpAddr): number {
  return Buffer.from(macBytes(tunnelMac(node))).readUIntBE(0, macOctets);
}

/**
 * A UDP socket of this node's, for PacketCopier.
 *
 * @throws {NetlinkError} when the address or the port cannot be had.
 */
export function openTunnelSocket(node: IpAddr, port: number): number {
  const fd = openUdpSocket({ address: node, port });
  const size = Buffer.alloc(4);
  size.writeInt32LE(socketBytes);
  // Beyond the machine's limit where we may, else up to it.
  for (const option of [SO_RCVBUF, SO_SNDBUF, SO_RCVBUFFORCE, SO_SNDBUFFORCE]) {
    libc.setsockopt(fd, SOL_SOCKET, option, size, size.length);
  }
  return fd;
}

const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const socketBytes = 4 << 20;
