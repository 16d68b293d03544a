import type { OnReadOpts, Socket } from "node:net";
import { type AcceptedTcp, connectTcp, TcpListener } from "../../kernel/tcp-socket.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type IpAddr, parseIpAddr } from "../../lib/ip-addr.ts";
import { ReadTurns, type WaitingReader } from "./read-turns.ts";
import type { Connection, ConnectionHandlers, IncomingConnection, Transport } from "./transport.ts";

/** How long a closing connection may take to send what is queued and to hear the peer's end. */
const closeLimitMs = 2000;
/** What is written in one turn goes out in one system call, unless it is more than this. */
const flushBytes = 256 * 1024;

/** BGP's TCP: no delay, and a NOTIFICATION is sent before the connection goes. */
export function createTcpTransport({ clock }: { readonly clock: Clock }): Transport {
  const deps = { clock, corks: new Corks(), turns: new ReadTurns(clock) };
  return {
    connect: (target) => new TcpConnection((onread) => connectTcp(target, onread), deps),
    listen: (endpoint, accepted) =>
      new TcpListener(endpoint, (tcp) => accepted(new IncomingTcpConnection(tcp, deps))),
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
  readonly turns: ReadTurns;
}

/** All sockets are read into this: what is read is handled, or copied, before the next read. */
const readBuffer = new Uint8Array(64 * 1024);

class TcpConnection implements Connection, WaitingReader {
  readonly #socket: Socket;
  readonly #deps: TcpConnectionDeps;
  #handlers: ConnectionHandlers | undefined;
  #failure: string | undefined;
  #waitsForTurn = false;
  /** Read when the turn was over. */
  #unhandled: Uint8Array | undefined;
  /** One for all writes: Node then calls it once for several. */
  readonly #taken = (): void => this.#handlers?.progressed();

  constructor(open: (onread: OnReadOpts) => Socket, deps: TcpConnectionDeps) {
    this.#deps = deps;
    const socket = open({ buffer: readBuffer, callback: (length) => this.#read(length) });
    this.#socket = socket;
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
    // It ended between accept and now: the session must still hear of it.
    if (this.#socket.destroyed) this.#closed();
  }

  write(bytes: Uint8Array): void {
    const socket = this.#socket;
    if (!socket.writable) return;
    this.#deps.corks.hold(socket);
    socket.write(bufferOf(bytes), this.#taken);
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
      socket.end();
      // Unread bytes would make the kernel reset the connection and the peer lose our last words.
      socket.resume();
    });
  }

  afterPendingReads(callback: () => void): void {
    // Immediates run right after the event loop has polled its sockets.
    setImmediate(() => {
      if (this.#waitsForTurn) this.afterPendingReads(callback);
      else callback();
    });
  }

  readOn(): void {
    this.#waitsForTurn = false;
    this.#handleRest();
    // It may have been closed, or wait again.
    if (!this.#socket.destroyed && !this.#waitsForTurn) this.#socket.resume();
  }

  refuse(): void {
    this.#handlers = undefined;
    this.#socket.destroy();
  }

  /** False: nothing more is to be read for now. */
  #read(length: number): boolean {
    // Nobody listens any more: the rest is only read to be thrown away.
    if (this.#handlers === undefined) return true;
    const { turns } = this.#deps;
    const bytes = readBuffer.subarray(0, length);
    if (turns.isOver) this.#unhandled = bytes.slice();
    else {
      this.#handlers.data(bytes);
      if (!turns.isOver) return true;
    }
    this.#waitsForTurn = true;
    turns.wait(this);
    return false;
  }

  #handleRest(): void {
    const bytes = this.#unhandled;
    this.#unhandled = undefined;
    if (bytes !== undefined) this.#handlers?.data(bytes);
  }

  #closed(): void {
    this.#handleRest();
    const handlers = this.#handlers;
    this.#handlers = undefined;
    handlers?.closed(this.#failure ?? "The peer closed the connection");
  }
}

class IncomingTcpConnection extends TcpConnection implements IncomingConnection {
  readonly #tcp: AcceptedTcp;

  constructor(tcp: AcceptedTcp, deps: TcpConnectionDeps) {
    super((onread) => tcp.toSocket(onread), deps);
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

let lastBytes: Uint8Array | undefined;
let lastBuffer: Buffer | undefined;

/** What Node would make of it at each write: one that goes to many sockets in a row is made once. */
function bufferOf(bytes: Uint8Array): Buffer {
  if (bytes === lastBytes && lastBuffer !== undefined) return lastBuffer;
  lastBytes = bytes;
  lastBuffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return lastBuffer;
}

/** Without the interface of a link-local address; "::" when not connected. */
function plainAddress(address: string | undefined): IpAddr {
  return parseIpAddr((address ?? "::").replace(/%.*$/, ""));
}
