import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import {
  bindSocket,
  closeSocket,
  connectSocket,
  openSocket,
  receiveBytesOf,
  sendBytes,
} from "./sockets.ts";

const loopback = parseIpAddr("127.0.0.1");

/**
 * Tells when the CPU's queue of received packets has been worked off: loopback and veth devices put what is
 * sent into the same one, in order.
 */
export class QueueMarker {
  readonly #fd: number;
  #sent = 0;
  #arrived = 0;

  constructor() {
    this.#fd = openSocket("udp", 4);
    // To itself: a port of the kernel's choice would have to be asked for.
    const port = 10_000 + (process.pid % 10_000);
    bindSocket(this.#fd, loopback, port);
    connectSocket(this.#fd, loopback, port);
  }

  /** Resolves when all is worked off that was sent before. */
  async pass(): Promise<void> {
    const number = ++this.#sent;
    sendBytes(this.#fd, Buffer.from(String(number)));
    while (this.#arrived < number) {
      const received = receiveBytesOf(this.#fd);
      if (received === undefined) await new Promise(setImmediate);
      else this.#arrived = Number(received.toString());
    }
  }

  close(): void {
    closeSocket(this.#fd);
  }
}
