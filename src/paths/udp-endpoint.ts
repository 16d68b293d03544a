import { createSocket, type Socket } from "node:dgram";
import { openUdpSocket, type UdpSocketConfig } from "../kernel/udp-socket.ts";
import { type IpAddr, ipFamily, parseIpAddr } from "../lib/ip-addr.ts";

export interface EndpointAddress {
  readonly address: IpAddr;
  readonly port: number;
}

export interface EndpointHandlers {
  datagram(bytes: Uint8Array, from: EndpointAddress): void;
  /** What came back of a packet to the only peer: "ECONNREFUSED". */
  refusal?(code: string): void;
}

/** Address as node tells it of a socket's other end: a zone ("%eth0") does not count, nor "::ffff:". */
export function remoteAddress(text: string): IpAddr {
  return parseIpAddr(text.replace(/%.*$/, "").replace(/^::ffff:(?=\d+\.)/, ""));
}

/** A UDP socket of one own address, whose packets have DF. */
export class UdpEndpoint {
  readonly #socket: Socket;
  #peer: EndpointAddress | undefined;
  #isClosed = false;

  /** @throws {NetlinkError} when the port cannot be had. */
  constructor(config: Omit<UdpSocketConfig, "dontFragment">, handlers: EndpointHandlers) {
    const fd = openUdpSocket({ ...config, dontFragment: true });
    this.#socket = createSocket(ipFamily(config.address) === 4 ? "udp4" : "udp6");
    this.#socket.on("error", (error: NodeJS.ErrnoException) => {
      handlers.refusal?.(error.code ?? "EIO");
    });
    this.#socket.on("message", (bytes, { address, port }) => {
      handlers.datagram(bytes, { address: remoteAddress(address), port });
    });
    this.#socket.bind({ fd });
  }

  /** From now on it has one peer: only then does the kernel tell of refusals. Rejects without a route. */
  connect(peer: EndpointAddress): Promise<void> {
    this.#peer = peer;
    return new Promise((resolve, reject) => {
      this.#socket.connect(peer.port, peer.address, (error?: Error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** @returns the kernel's word of what went wrong. What is lost on the way is no error. Never rejects. */
  send(
    bytes: Uint8Array,
    to: EndpointAddress | undefined = this.#peer,
  ): Promise<string | undefined> {
    return new Promise((resolve) => {
      const done = (error: NodeJS.ErrnoException | null) =>
        resolve(error === null ? undefined : (error.code ?? "EIO"));
      if (this.#isClosed) resolve("EBADF");
      else if (this.#peer !== undefined) this.#socket.send(bytes, done);
      else if (to !== undefined) this.#socket.send(bytes, to.port, to.address, done);
      else resolve("EDESTADDRREQ");
    });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }
}
