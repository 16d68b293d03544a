import type { Socket } from "node:net";
import { type AcceptedTcp, connectTcp, TcpListener } from "../../kernel/tcp-socket.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type IpAddr, parseIpAddr } from "../../lib/ip-addr.ts";
import type { Connection, ConnectionHandlers, IncomingConnection, Transport } from "./transport.ts";

/** How long a closing connection may take to send what is queued and to hear the peer's end. */
const closeLimitMs = 2000;
/** What is written in one turn goes out in one system call, unless it is more than this. */
const flushBytes = 256 * 1024;

/** BGP's TCP: no delay, and a NOTIFICATION is sent before the connection goes. */
export function createTcpTransport({ clock }: { readonly clock: Clock }): Transport {
  const corks = new Corks();
  return {
    connect: (target) => new TcpConnection(connectTcp(target), { clock, corks }),
    listen: (endpoint, accepted) =>
      new TcpListener(endpoint, (tcp) =>
        accepted(new IncomingTcpConnection(tcp, { clock, corks })),
      ),
  };
}

/** Sockets that have been written to in this turn. */
class Corks {
  #sockets: Socket[] = [];

  hold(socket: Socket): void {
    if (socket.writableCorked > 0) return;
    if (this.#sockets.length === 0) process.nextTick(() => this.#flush());
    socket.cork();
    this.#sockets.push(socket);
  }

  #flush(): void {
    const sockets = this.#sockets;
    this.#sockets = [];
    for (const socket of sockets) socket.uncork();
  }
}

interface TcpConnectionDeps {
  readonly clock: Clock;
  readonly corks: Corks;
}

class TcpConnection implements Connection {
  readonly #socket: Socket;
  readonly #deps: TcpConnectionDeps;
  #handlers: ConnectionHandlers | undefined;
  #failure: string | undefined;
  /** One for all writes: Node then calls it once for several. */
  readonly #taken = (): void => this.#handlers?.progressed();

  constructor(socket: Socket, deps: TcpConnectionDeps) {
    this.#socket = socket;
    this.#deps = deps;
    socket.setNoDelay(true);
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

  get localPort(): number | undefined {
    return this.#socket.localPort;
  }

  get remotePort(): number | undefined {
    return this.#socket.remotePort;
  }

  get zone(): string | undefined {
    return this.#socket.remoteAddress?.split("%")[1];
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  attach(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    this.#socket.on("connect", () => this.#handlers?.connected());
    this.#socket.on("drain", () => this.#handlers?.drained());
    this.#socket.on("data", (bytes: Uint8Array) => this.#handlers?.data(bytes));
    // It ended between accept and now: the session must still hear of it.
    if (this.#socket.destroyed) this.#closed();
  }

  write(bytes: Uint8Array): void {
    const socket = this.#socket;
    if (!socket.writable) return;
    this.#deps.corks.hold(socket);
    socket.write(bytes, this.#taken);
    if (socket.writableLength >= flushBytes) socket.uncork();
  }

  close(): Promise<void> {
    this.#handlers = undefined;
    const socket = this.#socket;
    if (socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#deps.clock.setTimer(closeLimitMs, () => socket.destroy());
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

  refuse(): void {
    this.#handlers = undefined;
    this.#socket.destroy();
  }

  #closed(): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    handlers?.closed(this.#failure ?? "The peer closed the connection");
  }
}

class IncomingTcpConnection extends TcpConnection implements IncomingConnection {
  readonly #tcp: AcceptedTcp;

  constructor(tcp: AcceptedTcp, deps: TcpConnectionDeps) {
    super(tcp.toSocket(), deps);
    this.#tcp = tcp;
  }

  /** Also when the connection has ended by now. */
  override get remoteAddress(): IpAddr {
    return this.#tcp.remoteAddress;
  }

  limitHops(hops: number): boolean {
    return this.#tcp.limitHops(hops);
  }
}

/** Without the interface of a link-local address; "::" when not connected. */
function plainAddress(address: string | undefined): IpAddr {
  return parseIpAddr((address ?? "::").replace(/%.*$/, ""));
}
