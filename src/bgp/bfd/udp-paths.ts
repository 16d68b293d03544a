import { createSocket, type Socket } from "node:dgram";
import { openUdpSocket, type UdpSocketConfig } from "../../kernel/udp-socket.ts";
import { Backoff } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import { getOrCreate } from "../../lib/collections.ts";
import { errorMessage } from "../../lib/errors.ts";
import { ipFamily, parseIpAddr } from "../../lib/ip-addr.ts";
import type { BfdSessionConfig } from "./bfd.ts";
import type { BfdArrival } from "./engine.ts";
import type { BfdPath } from "./running-session.ts";

/** RFC 5881 section 4 and RFC 5883 section 5. */
const ports = { singleHop: 3784, multihop: 4784 };
const sourcePorts = { first: 49152, count: 16384 };
/** RFC 5881 section 5: nobody beyond the link can send it. */
const linkTtl = 255;
const openRetry = { minMs: 250, maxMs: 8000 };
/** Rounds of the event loop in which a packet may still be found that had waited. */
const maxReadRounds = 64;

export interface UdpPathsDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly received: (bytes: Uint8Array, arrival: BfdArrival) => void;
  /** A socket cannot be had; it is tried again. */
  readonly warn: (reason: string) => void;
}

/** The sockets of BFD: one to receive for each own address and kind, one to send for each session. */
export class UdpPaths {
  readonly #deps: UdpPathsDeps;
  readonly #receivers = new Map<string, { users: number; readonly close: () => void }>();
  #received = 0;

  constructor(deps: UdpPathsDeps) {
    this.#deps = deps;
  }

  open(config: BfdSessionConfig): BfdPath {
    const { peer, zone, bfd } = config;
    const port = bfd.multihop ? ports.multihop : ports.singleHop;
    const host = zone === undefined ? peer : `${peer}%${zone}`;
    const releaseReceiver = this.#useReceiver(config, port);
    let socket: Socket | undefined;
    const close = this.#keepOpen(
      () => ({ ...ownEnd(config), port: this.#sourcePort() }),
      (opened) => {
        socket = opened;
      },
    );
    return {
      // What cannot be sent is lost, as on the wire: the next packet follows soon.
      send: (bytes) => socket?.send(bytes, port, host, () => undefined),
      close: () => {
        releaseReceiver();
        // send() hands its packet over in the next tick.
        setImmediate(close);
      },
    };
  }

  /** Calls back when the packets that wait in the kernel have been received. */
  afterPendingReads(callback: () => void, rounds: number = maxReadRounds): void {
    const before = this.#received;
    setImmediate(() => {
      if (this.#received === before || rounds === 0) callback();
      else this.afterPendingReads(callback, rounds - 1);
    });
  }

  #useReceiver(config: BfdSessionConfig, port: number): () => void {
    const { local, zone } = config;
    const key = `${local}%${zone ?? ""} ${port}`;
    const receiver = getOrCreate(this.#receivers, key, () => {
      const { multihop } = config.bfd;
      const minTtl = multihop ? {} : { minTtl: linkTtl };
      const close = this.#keepOpen(
        () => ({ ...ownEnd(config), port, ...minTtl }),
        (socket) => {
          socket.on("message", (bytes, { address }) => {
            this.#received++;
            const peer = parseIpAddr(address.replace(/%.*$/, ""));
            const inZone = zone === undefined ? {} : { zone };
            this.#deps.received(bytes, { local, peer, ...inZone, multihop });
          });
        },
      );
      return { users: 0, close };
    });
    receiver.users++;
    return () => {
      receiver.users--;
      if (receiver.users > 0) return;
      this.#receivers.delete(key);
      receiver.close();
    };
  }

  /** Opens a socket as soon as that can be done: the address may not be there yet. */
  #keepOpen(config: () => UdpSocketConfig, opened: (socket: Socket) => void): () => void {
    const { clock, warn, random } = this.#deps;
    const backoff = new Backoff(openRetry, random);
    let stop: () => void = () => undefined;
    const open = () => {
      try {
        const wanted = config();
        const fd = openUdpSocket(wanted);
        const socket = createSocket(ipFamily(wanted.address) === 4 ? "udp4" : "udp6");
        // Of a packet that could not be delivered.
        socket.on("error", () => undefined);
        socket.bind({ fd });
        stop = () => socket.close();
        opened(socket);
      } catch (error) {
        warn(errorMessage(error));
        stop = clock.setTimer(backoff.next(), open);
      }
    };
    open();
    return () => stop();
  }

  /** RFC 5881 section 4: from a range of its own. When it is in use, the next try takes another. */
  #sourcePort(): number {
    return sourcePorts.first + Math.floor(this.#deps.random() * sourcePorts.count);
  }
}

function ownEnd({ local, zone }: BfdSessionConfig): Omit<UdpSocketConfig, "port"> {
  return {
    address: local,
    ttl: linkTtl,
    networkControl: true,
    ...(zone === undefined ? {} : { zone }),
  };
}
