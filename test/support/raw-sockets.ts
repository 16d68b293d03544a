import { errno, libc } from "../../src/kernel/netlink/libc.ts";
import { systemError } from "../../src/kernel/netlink/netlink-error.ts";
import { inNetns } from "../../src/kernel/netns.ts";
import { socketAddress } from "../../src/kernel/tcp-options.ts";
import { type IpFamily, ipFamily } from "../../src/lib/ip-addr.ts";
import type { Packet } from "../../src/policy/packet.ts";
import { idOffset, rawPacket } from "./raw-packet.ts";

const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const IPPROTO_RAW = 255;
const domains: Readonly<Record<IpFamily, number>> = { 4: 2, 6: 10 };
const heardProtocols: Readonly<Record<IpFamily, readonly number[]>> = {
  4: [1, 4, 6, 17, 132],
  6: [4, 6, 17, 58, 132],
};

/**
 * Sends packets of any protocol from one network namespace, and hears those that are delivered to it:
 * raw sockets get what has passed the INPUT chains, whether or not somebody listens.
 */
export class RawSockets implements Disposable {
  readonly #netns: number;
  readonly #hearing: readonly {
    readonly fd: number;
    readonly family: IpFamily;
    readonly protocol: number;
  }[];
  readonly #buffer = Buffer.alloc(2048);
  readonly #heard = new Set<number>();

  /** `netns` is an open descriptor. */
  constructor(netns: number) {
    this.#netns = netns;
    this.#hearing = inNetns(netns, () =>
      ([4, 6] as const).flatMap((family) =>
        heardProtocols[family].map((protocol) => ({
          fd: open(family, protocol),
          family,
          protocol,
        })),
      ),
    );
  }

  send(packet: Packet, id: number): void {
    // Of this protocol, the sender writes the IP header.
    const fd = inNetns(this.#netns, () => open(ipFamily(packet.source), IPPROTO_RAW));
    try {
      const to = socketAddress(packet.destination, 0);
      const bytes = rawPacket(packet, id);
      const refused =
        libc.connect(fd, to, to.length) < 0 || libc.send(fd, bytes, bytes.length, 0) < 0;
      // EPERM (1): a rule of the OUTPUT chain drops it.
      if (refused && errno() !== 1)
        throw systemError(`Cannot send ${JSON.stringify(packet)}`, errno());
    } finally {
      libc.close(fd);
    }
  }

  /** Whether the packet of this id was delivered here. */
  hears(id: number): boolean {
    for (const socket of this.#hearing) this.#receive(socket);
    return this.#heard.has(id);
  }

  #receive({ fd, family, protocol }: { fd: number; family: IpFamily; protocol: number }): void {
    for (;;) {
      const length = libc.recv(fd, this.#buffer, this.#buffer.length, 0);
      if (length < 0) return;
      // An IPv6 socket gives no header.
      const start = family === 4 ? (this.#buffer.readUInt8(0) & 0xf) * 4 : 0;
      const at = start + idOffset(protocol);
      if (at + 4 <= length) this.#heard.add(this.#buffer.readUInt32BE(at));
    }
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#hearing) libc.close(fd);
  }
}

function open(family: IpFamily, protocol: number): number {
  const fd = libc.socket(domains[family], SOCK_RAW | SOCK_NONBLOCK, protocol);
  if (fd < 0) throw systemError(`Cannot open a raw socket of protocol ${protocol}`, errno());
  return fd;
}
