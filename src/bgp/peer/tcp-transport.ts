import type { OnReadOpts, Socket } from "node:net";
import { networkInterfaces } from "node:os";
import {
  type AcceptedTcp,
  connectTcp,
  TcpListener,
  type TcpSocket,
} from "../../kernel/tcp-socket.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type IpAddr, parseIpAddr } from "../../lib/ip-addr.ts";
import { addressBeside } from "./interface-address.ts";
import { ReadTurns, type WaitingReader } from "./read-turns.ts";
import { Flushes, TcpOutput } from "./tcp-output.ts";
import type { Connection, ConnectionHandlers, IncomingConnection, Transport } from "./transport.ts";

/** How long a closing connection may take to send what is queued and to hear the peer's end. */
const closeLimitMs = 2000;

/** BGP's TCP: no delay, and a NOTIFICATION is sent before the connection goes. */
export function createTcpTransport({ clock }: { readonly clock: Clock }): Transport {
  const deps = { clock, flushes: new Flushes(clock), turns: new ReadTurns(clock) };
  return {
    connect: (target) => new TcpConnection((onread) => connectTcp(target, onread), deps),
    listen: (endpoint, accepted) =>
      new TcpListener(endpoint, (tcp) => accepted(new IncomingTcpConnection(tcp, deps))),
  };
}

interface TcpConnectionDeps {
  readonly clock: Clock;
  readonly flushes: Flushes;
  readonly turns: ReadTurns;
}

/** All sockets are read into this: what is read is handled, or copied, before the next read. */
const readBuffer = new Uint8Array(64 * 1024);
/** Octets that are handled before it is asked whether the turn is over: 200 UPDATEs, a ms. */
const pieceBytes = 16 * 1024;
const nothing = new Uint8Array(0);

class TcpConnection implements Connection, WaitingReader {
  readonly #socket: Socket;
  readonly #output: TcpOutput;
  readonly #deps: TcpConnectionDeps;
  #handlers: ConnectionHandlers | undefined;
  #failure: string | undefined;
  #waitsForTurn = false;
  /** Read when the turn was over. */
  #unhandled: Uint8Array | undefined;

  constructor(open: (onread: OnReadOpts) => TcpSocket, deps: TcpConnectionDeps) {
    this.#deps = deps;
    const tcp = open({ buffer: readBuffer, callback: (length) => this.#read(length) });
    const { socket } = tcp;
    this.#socket = socket;
    this.#output = new TcpOutput(tcp, deps.flushes, {
      progressed: () => this.#handlers?.progressed(),
      emptied: () => this.#handlers?.drained(),
    });
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

  get otherLocalAddress(): IpAddr | undefined {
    return addressBeside(this.localAddress, networkInterfaces());
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
    return this.#output.queuedBytes;
  }

  attach(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
    this.#socket.on("connect", () => this.#handlers?.connected());
    // It ended between accept and now: the session must still hear of it.
    if (this.#socket.destroyed) this.#closed();
  }

  write(bytes: Uint8Array): void {
    this.#output.write(bytes);
  }

  close(): Promise<void> {
    this.#handlers = undefined;
    const socket = this.#socket;
    this.#output.flush();
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
    const bytes = this.#unhandled ?? nothing;
    const handled = this.#handle(bytes);
    this.#unhandled = handled < bytes.length ? bytes.subarray(handled) : undefined;
    if (this.#unhandled !== undefined) {
      this.#waitForTurn();
      return;
    }
    if (this.#socket.destroyed) this.#tellEnd();
    else this.#socket.resume();
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
    const handled = turns.isOver ? 0 : this.#handle(readBuffer.subarray(0, length));
    if (handled < length) this.#unhandled = readBuffer.slice(handled, length);
    else if (!turns.isOver) return true;
    this.#waitForTurn();
    return false;
  }

  /** Handles one piece at least, as many as the turn allows. Gives the octets. */
  #handle(bytes: Uint8Array): number {
    let handled = 0;
    while (handled < bytes.length) {
      this.#handlers?.data(bytes.subarray(handled, handled + pieceBytes));
      handled = Math.min(handled + pieceBytes, bytes.length);
      if (this.#deps.turns.isOver) break;
    }
    return handled;
  }

  #waitForTurn(): void {
    this.#waitsForTurn = true;
    this.#deps.turns.wait(this);
  }

  /** Hundreds may end at once, and each takes a while to handle: they have their turns, too. */
  #closed(): void {
    // What it has read is handled first.
    if (this.#waitsForTurn || this.#handlers === undefined) return;
    if (this.#deps.turns.isOver) this.#waitForTurn();
    else this.#tellEnd();
  }

  #tellEnd(): void {
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

/** Without the interface of a link-local address; "::" when not connected. */
function plainAddress(address: string | undefined): IpAddr {
  return parseIpAddr((address ?? "::").replace(/%.*$/, ""));
}
