import { closeNetns, inNetns, openNetns } from "../../../src/kernel/netns.ts";
import { assertNever } from "../../../src/lib/brand.ts";
import { getOrCreate } from "../../../src/lib/collections.ts";
import { type IpAddr, type IpFamily, parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { icmpRequest, sctpInit } from "./contents.ts";
import type { Probe, ProbePacket } from "./probe-text.ts";
import { QueueMarker } from "./queue-marker.ts";
import {
  acceptSocket,
  bindSocket,
  closeSocket,
  connectSocket,
  listenSocket,
  openSocket,
  receiveBytesOf,
  resetAndClose,
  sendBytes,
} from "./sockets.ts";

/** Who sends or receives: a namespace, and the address that it is known by. */
export interface End {
  readonly netns: string;
  readonly addresses: Readonly<Record<IpFamily, IpAddr>>;
  /** Those it has itself, where they are others. */
  readonly own?: Readonly<Record<IpFamily, IpAddr>>;
  /** Nothing that is sent to these addresses comes back. */
  readonly oneWay?: true;
}

type RawPacket =
  | Extract<ProbePacket, { kind: "icmp" | "protocol" }>
  | { readonly kind: "sctp"; readonly port: number };

interface Route {
  readonly from: End;
  readonly to: End;
  readonly family: IpFamily;
  readonly id: string;
}

interface Ports {
  readonly from: number;
  readonly to: number;
}

interface Sent {
  /** What is noted when it arrives. */
  readonly key: string;
  readonly isThrough: () => boolean;
  readonly close: () => void;
}

interface Receiver {
  readonly fd: number;
  /** The key of one that arrived. */
  readonly received: () => string | undefined;
}

/** From node to node, there and back, and some to spare. */
const hops = 12;
/** For what is let through, and late: a machine may be busy. */
const patienceMs = 10_000;
/** Below those that the kernel chooses for others. */
const firstSourcePort = 10_000;
const sourcePorts = 22_000;
const allAddresses: Readonly<Record<IpFamily, string>> = { 4: "0.0.0.0", 6: "::" };
const rawProtocols = { icmp: { 4: 1, 6: 58 }, sctp: { 4: 132, 6: 132 } } as const;

/**
 * Sends real packets between namespaces of this machine and sees which arrive. None is waited for that is
 * dropped: what one CPU sends from namespace to namespace waits in that CPU's one queue, so a packet through
 * the loopback device, as often as there are hops, comes after it. `strays` tells those that came anyhow.
 */
export class Prober {
  readonly #namespaces = new Map<string, number>();
  readonly #receivers = new Map<string, Receiver>();
  readonly #arrived = new Set<string>();
  readonly #dropped = new Map<string, string>();
  readonly #queue = new QueueMarker();
  #count = 0;

  /** True when it arrived, and so did the answer. `expected` tells for how long to wait. */
  async passes(
    probe: Probe,
    { from, to, family, expected }: Omit<Route, "id"> & { readonly expected: boolean },
  ): Promise<boolean> {
    const id = `${this.#count++};`.padStart(10, "#");
    const sent = this.#send(probe.packet, { from, to, family, id });
    try {
      const end = performance.now() + (expected ? patienceMs : 0);
      do {
        if (!expected) for (let hop = 0; hop < hops; hop++) await this.#queue.pass();
        this.#drain();
        if (sent.isThrough()) return true;
        if (expected) await new Promise((resolve) => setTimeout(resolve, 1));
      } while (performance.now() < end);
      this.#dropped.set(sent.key, `${probe.text} in IPv${family}`);
      return false;
    } finally {
      sent.close();
    }
  }

  /** What arrived after it was said to be dropped. */
  strays(): string[] {
    this.#drain();
    return [...this.#dropped].filter(([key]) => this.#arrived.has(key)).map(([, text]) => text);
  }

  close(): void {
    for (const { fd } of this.#receivers.values()) closeSocket(fd);
    for (const fd of this.#namespaces.values()) closeNetns(fd);
    this.#queue.close();
  }

  #send(packet: ProbePacket, route: Route): Sent {
    this.#receiverOf(packet, route);
    const sourcePort =
      ("sourcePort" in packet ? packet.sourcePort : undefined) ??
      firstSourcePort + (this.#count % sourcePorts);
    if (packet.kind === "tcp") return this.#connect(packet.port, sourcePort, route);
    if (packet.kind === "udp") {
      return this.#sendDatagram({ from: sourcePort, to: packet.port }, route);
    }
    return this.#sendRaw(packet, sourcePort, route);
  }

  #connect(port: number, sourcePort: number, { from, to, family }: Route): Sent {
    const source = from.addresses[family];
    const fd = this.#in(from, () => {
      const socket = openSocket("tcp", family);
      bindSocket(socket, source, sourcePort);
      connectSocket(socket, to.addresses[family], port);
      return socket;
    });
    const key = tcpKey({ netns: to.netns, source, sourcePort, port });
    this.#arrived.delete(key);
    this.#dropped.delete(key);
    // Accepted only when the answer has come back and was answered itself.
    return { key, isThrough: () => this.#arrived.has(key), close: () => resetAndClose(fd) };
  }

  #sendDatagram(ports: Ports, { from, to, family, id }: Route): Sent {
    const [source, destination] = [from.addresses[family], to.addresses[family]];
    const open = (local: readonly [IpAddr, number], remote: readonly [IpAddr, number]) => {
      const socket = openSocket("udp", family);
      bindSocket(socket, ...local);
      connectSocket(socket, ...remote);
      sendBytes(socket, Buffer.from(id));
      return socket;
    };
    const fd = this.#in(from, () => open([source, ports.from], [destination, ports.to]));
    let answered = from.oneWay === true;
    const isThrough = () => {
      if (!this.#arrived.has(id)) return false;
      if (!answered) {
        this.#in(to, () =>
          closeSocket(open([(to.own ?? to.addresses)[family], ports.to], [source, ports.from])),
        );
        answered = true;
      }
      return from.oneWay === true || receiveBytesOf(fd)?.toString() === id;
    };
    return { key: id, isThrough, close: () => closeSocket(fd) };
  }

  #sendRaw(packet: RawPacket, sourcePort: number, { from, to, family, id }: Route): Sent {
    const rawProtocol = rawProtocolOf(packet, family);
    const bytes = rawBytes(packet, family, { sourcePort, id: Buffer.from(id) });
    this.#in(from, () => {
      const socket = openSocket({ rawProtocol }, family);
      bindSocket(socket, from.addresses[family], 0);
      connectSocket(socket, to.addresses[family], 0);
      sendBytes(socket, bytes);
      closeSocket(socket);
    });
    return { key: id, isThrough: () => this.#arrived.has(id), close: () => undefined };
  }

  /** Opens what takes such packets at the other end, once. */
  #receiverOf(packet: ProbePacket, { to, family }: Route): void {
    const isRaw = packet.kind === "icmp" || packet.kind === "protocol" || packet.kind === "sctp";
    const socketKind = isRaw ? { rawProtocol: rawProtocolOf(packet, family) } : packet.kind;
    const port = isRaw ? 0 : packet.port;
    const name = `${to.netns} ${family} ${JSON.stringify(socketKind)} ${port}`;
    getOrCreate(this.#receivers, name, () => {
      const fd = this.#in(to, () => {
        const socket = openSocket(socketKind, family);
        if (!isRaw) bindSocket(socket, parseIpAddr(allAddresses[family]), port);
        if (socketKind === "tcp") listenSocket(socket);
        return socket;
      });
      const received =
        socketKind === "tcp" ? () => connection(fd, to.netns, family, port) : () => datagram(fd);
      return { fd, received };
    });
  }

  #drain(): void {
    for (const { received } of this.#receivers.values()) {
      for (let id = received(); id !== undefined; id = received()) this.#arrived.add(id);
    }
  }

  /** Its descriptor, open until `close`. */
  namespaceOf({ netns }: End): number {
    return getOrCreate(this.#namespaces, netns, () => openNetns(`/run/netns/${netns}`));
  }

  #in<Result>(end: End, task: () => Result): Result {
    return inNetns(this.namespaceOf(end), task);
  }
}

function connection(fd: number, netns: string, family: IpFamily, port: number): string | undefined {
  const accepted = acceptSocket(fd, family);
  if (accepted === undefined) return undefined;
  resetAndClose(accepted.fd);
  return tcpKey({ netns, source: accepted.address, sourcePort: accepted.port, port });
}

/** The id in what arrived; headers may stand before it. */
function datagram(fd: number): string | undefined {
  const bytes = receiveBytesOf(fd);
  if (bytes === undefined) return undefined;
  return /#+\d+;/.exec(bytes.toString("latin1"))?.[0] ?? "";
}

function tcpKey(of: {
  readonly netns: string;
  readonly source: IpAddr;
  readonly sourcePort: number;
  readonly port: number;
}): string {
  return `tcp ${of.netns} ${of.source} ${of.sourcePort} ${of.port}`;
}

function rawProtocolOf(packet: RawPacket, family: IpFamily): number {
  return packet.kind === "protocol" ? packet.number : rawProtocols[packet.kind][family];
}

function rawBytes(
  packet: RawPacket,
  family: IpFamily,
  { sourcePort, id }: { readonly sourcePort: number; readonly id: Buffer },
): Buffer {
  switch (packet.kind) {
    case "icmp":
      return icmpRequest(packet, family, { identifier: sourcePort, id });
    case "sctp":
      return sctpInit({ from: sourcePort, to: packet.port }, id);
    case "protocol":
      return id;
    default:
      return assertNever(packet);
  }
}
