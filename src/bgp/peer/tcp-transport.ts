import { createServer, connect as netConnect, type Socket } from "node:net";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type IpAddr, parseIpAddr } from "../../lib/ip-addr.ts";
import type {
  Connection,
  ConnectionHandlers,
  ConnectTarget,
  ListenHandlers,
  Transport,
} from "./transport.ts";

/** How long a closing connection may take to send what is queued and to hear the peer's end. */
const closeLimitMs = 2000;

/** BGP's TCP: no delay, and a NOTIFICATION is sent before the connection goes. */
export function createTcpTransport({ clock }: { readonly clock: Clock }): Transport {
  return {
    connect: ({ address, port, localAddress }: ConnectTarget) => {
      const local = localAddress === undefined ? {} : { localAddress };
      const socket = netConnect({ host: address, port, ...local, noDelay: true });
      return new TcpConnection(socket, { clock, isIncoming: false });
    },
    listen: (endpoint, handlers) => listen(endpoint, handlers, clock),
  };
}

function listen(
  { address, port }: { readonly address: IpAddr; readonly port: number },
  handlers: ListenHandlers,
  clock: Clock,
): () => void {
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
    const connection = new TcpConnection(socket, { clock, isIncoming: true });
    if (socket.remoteAddress === undefined) void connection.close();
    else handlers.accepted(connection);
  });
  server.on("error", handlers.failed);
  server.listen({ host: address, port, ipv6Only: address.includes(":") }, () => {
    const bound = server.address();
    handlers.listening(bound !== null && typeof bound === "object" ? bound.port : port);
  });
  return () => server.close();
}

class TcpConnection implements Connection {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #isIncoming: boolean;
  #handlers: ConnectionHandlers | undefined;
  #failure: string | undefined;

  constructor(socket: Socket, options: { readonly clock: Clock; readonly isIncoming: boolean }) {
    this.#socket = socket;
    this.#clock = options.clock;
    this.#isIncoming = options.isIncoming;
    socket.on("error", (error) => {
      this.#failure = errorMessage(error);
    });
    socket.on("close", () => this.#closed());
  }

  get localAddress(): IpAddr {
    return plainAddress(this.#socket.localAddress);
  }

  get remoteAddress(): IpAddr {
    return plainAddress(this.#socket.remoteAddress);
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  attach(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    this.#socket.on("connect", () => this.#handlers?.connected());
    this.#socket.on("drain", () => this.#handlers?.drained());
    this.#socket.on("data", (bytes: Uint8Array) => this.#handlers?.data(bytes));
    if (this.#isIncoming) this.#socket.resume();
    // It ended between accept and now: the session must still hear of it.
    if (this.#socket.destroyed) this.#closed();
  }

  write(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  close(): Promise<void> {
    this.#handlers = undefined;
    const socket = this.#socket;
    if (socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#clock.setTimer(closeLimitMs, () => socket.destroy());
      socket.once("close", () => {
        cancel();
        resolve();
      });
      if (socket.connecting) {
        socket.destroy();
        return;
      }
      // Unread bytes would make the kernel reset the connection and the peer lose our last words.
      socket.removeAllListeners("data");
      socket.end();
      socket.resume();
    });
  }

  afterPendingReads(callback: () => void): void {
    // Immediates run right after the event loop has polled its sockets.
    setImmediate(callback);
  }

  #closed(): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    handlers?.closed(this.#failure ?? "The peer closed the connection");
  }
}

/** Without the IPv4-mapped form that a dual-stack socket gives; "::" when not connected. */
function plainAddress(address: string | undefined): IpAddr {
  const plain = (address ?? "::").replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  return parseIpAddr(plain);
}
