import type { TcpSocket } from "../../kernel/tcp-socket.ts";
import type { Clock } from "../../lib/clock.ts";
import { inOwnRound } from "../../lib/rounds.ts";
import { TimeSlice } from "../../lib/time-slice.ts";

/** What is written in one turn goes out in one system call, unless it is more than this. */
const flushBytes = 256 * 1024;
/** Several messages of a turn are joined here, for one system call. */
const joined = new Uint8Array(64 * 1024);

/** What a connection hears of its output. */
export interface OutputHandlers {
  /** The kernel has taken some of what had to wait. */
  readonly progressed: () => void;
  /** The kernel has all. */
  readonly emptied: () => void;
}

/** How long the system calls for many connections may go on, before reading has its turn. */
const flushMs = 8;

/**
 * Connections that have been written to in this turn, first come first served. A system call takes 30
 * to 60 us: those of hundreds of connections are for more than one turn, and what is written meanwhile
 * goes out with them.
 */
export class Flushes {
  readonly #clock: Clock;
  #outputs: TcpOutput[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  plan(output: TcpOutput): void {
    if (this.#outputs.length === 0) process.nextTick(() => this.#flush());
    this.#outputs.push(output);
  }

  #flush(): void {
    const slice = new TimeSlice(() => this.#clock.now(), flushMs);
    let flushed = 0;
    while (flushed < this.#outputs.length && !(flushed > 0 && slice.isOver)) {
      this.#outputs[flushed++]?.flush();
    }
    this.#outputs = this.#outputs.slice(flushed);
    if (this.#outputs.length > 0) inOwnRound(() => this.#flush());
  }
}

/**
 * The sending half of a connection. What is written in one turn leaves at its end, by one system call
 * as long as the kernel has room; the rest waits in Node's queue.
 */
export class TcpOutput {
  readonly #tcp: TcpSocket;
  readonly #flushes: Flushes;
  readonly #handlers: OutputHandlers;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  /** One for all writes: Node then calls it once for several. */
  readonly #taken = (): void => {
    this.#handlers.progressed();
    if (this.queuedBytes === 0) this.#handlers.emptied();
  };

  constructor(tcp: TcpSocket, flushes: Flushes, handlers: OutputHandlers) {
    this.#tcp = tcp;
    this.#flushes = flushes;
    this.#handlers = handlers;
  }

  /** Octets that the kernel has not taken yet. */
  get queuedBytes(): number {
    return this.#heldBytes + this.#tcp.socket.writableLength;
  }

  /** The bytes must not change any more. */
  write(bytes: Uint8Array): void {
    if (!this.#tcp.socket.writable) return;
    if (this.#heldBytes === 0) this.#flushes.plan(this);
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes >= flushBytes) this.flush();
  }

  flush(): void {
    const [held, length] = [this.#held, this.#heldBytes];
    const { socket } = this.#tcp;
    this.#held = [];
    this.#heldBytes = 0;
    if (length === 0 || !socket.writable) return;
    const [first] = held;
    const isSmall = length <= joined.length;
    if (socket.writableLength > 0 || first === undefined || (held.length > 1 && !isSmall)) {
      this.#queue(held);
      return;
    }
    const bytes = held.length === 1 ? first : join(held, length);
    const sent = this.#tcp.sendNow(bytes);
    if (sent === length) this.#taken();
    else this.#queue([held.length === 1 ? bytes.subarray(sent) : bytes.slice(sent)]);
  }

  #queue(held: readonly Uint8Array[]): void {
    const { socket } = this.#tcp;
    socket.cork();
    for (const bytes of held) socket.write(bytes, this.#taken);
    socket.uncork();
  }
}

/** Valid until the next call. */
function join(held: readonly Uint8Array[], length: number): Uint8Array {
  let at = 0;
  for (const bytes of held) {
    joined.set(bytes, at);
    at += bytes.length;
  }
  return joined.subarray(0, length);
}
