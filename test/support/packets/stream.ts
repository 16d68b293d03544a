import { inNetns } from "../../../src/kernel/netns.ts";
import { type IpFamily, parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { waitFor } from "../wait-for.ts";
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

/** A namespace and an address in it. */
export interface StreamEnd {
  readonly netnsFd: number;
  readonly address: string;
}

const anyAddress: Readonly<Record<IpFamily, string>> = { 4: "0.0.0.0", 6: "::" };

/** A TCP connection that stays open. */
export class Stream {
  readonly #client: number;
  readonly #server: number;
  #count = 0;

  private constructor(client: number, server: number) {
    this.#client = client;
    this.#server = server;
  }

  /** @throws {Error} when it is not accepted in time. */
  static async open(
    from: StreamEnd,
    to: StreamEnd,
    { port, family }: { readonly port: number; readonly family: IpFamily },
  ): Promise<Stream> {
    const listener = inNetns(to.netnsFd, () => {
      const fd = openSocket("tcp", family);
      bindSocket(fd, parseIpAddr(anyAddress[family]), port);
      listenSocket(fd);
      return fd;
    });
    const client = inNetns(from.netnsFd, () => {
      const fd = openSocket("tcp", family);
      connectSocket(fd, parseIpAddr(to.address), port);
      return fd;
    });
    try {
      const accepted = await waitFor(() => acceptSocket(listener, family), {
        what: "the connection",
      });
      return new Stream(client, accepted.fd);
    } finally {
      closeSocket(listener);
    }
  }

  /** Sends something there and back; false when it does not come in time. What was lost is sent again by TCP. */
  async works(patienceMs = 10_000): Promise<boolean> {
    const text = `${this.#count++};`;
    try {
      await passOn(this.#client, this.#server, text, patienceMs);
      await passOn(this.#server, this.#client, text, patienceMs);
      return true;
    } catch {
      return false;
    }
  }

  close(): void {
    resetAndClose(this.#client);
    resetAndClose(this.#server);
  }
}

async function passOn(from: number, to: number, text: string, timeoutMs: number): Promise<void> {
  sendBytes(from, Buffer.from(text));
  let received = "";
  await waitFor(
    () => {
      received += receiveBytesOf(to)?.toString() ?? "";
      return received.endsWith(text);
    },
    { timeoutMs, intervalMs: 1, what: text },
  );
}
