import { connect, type Socket } from "node:net";
import { Backoff } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";

/** Where BMP goes. */
export interface CollectorAddress {
  readonly address: IpAddr;
  readonly port: number;
}

export interface CollectorDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** What a collector is told first, at once. */
  readonly greeting: () => readonly Uint8Array[];
  /** What it is told then, as fast as it reads. Undefined: a good place to pause. */
  readonly table: () => Generator<Uint8Array | undefined>;
  /** The last words. */
  readonly farewell: () => Uint8Array;
  /** Most octets that wait for a collector; more ends the connection, and it is told all anew. */
  readonly maxQueuedBytes?: number;
}

const defaultMaxQueuedBytes = 64 * 1024 * 1024;
/** The table waits while so much waits already. */
const tableHighWaterBytes = 1024 * 1024;
const connectTimeoutMs = 10_000;
const goodbyeMs = 1000;
const retry = { minMs: 1000, maxMs: 60_000 } as const;
/** A connection that lasted so long was a success. */
const stableMs = 30_000;

/** The connection to one collector, made again and again until the signal (RFC 7854 section 3.2). */
export class Collector {
  readonly #to: CollectorAddress;
  readonly #deps: CollectorDeps;
  #socket: Socket | undefined;
  #isGreeted = false;

  constructor(to: CollectorAddress, deps: CollectorDeps) {
    this.#to = to;
    this.#deps = deps;
  }

  get isConnected(): boolean {
    return this.#isGreeted;
  }

  /** Tells what happens. A collector that does not read is let go. */
  tell(messages: readonly Uint8Array[]): void {
    const socket = this.#socket;
    if (!this.#isGreeted || socket === undefined) return;
    for (const message of messages) socket.write(message);
    const { maxQueuedBytes = defaultMaxQueuedBytes } = this.#deps;
    if (socket.writableLength <= maxQueuedBytes) return;
    socket.destroy(
      new Error(`The collector reads too slowly: ${socket.writableLength} octets wait`),
    );
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    const backoff = new Backoff(retry);
    while (!signal.aborted) {
      const started = clock.now();
      const reason = await this.#once(signal);
      if (signal.aborted) return;
      log.warn({ ...this.#to, reason }, "BMP collector lost");
      if (clock.now() - started > stableMs) backoff.reset();
      await clock.sleep(backoff.next(), signal).catch(() => undefined);
    }
  }

  /** One connection, from its start to its end. Gives why it has ended. */
  async #once(signal: AbortSignal): Promise<string> {
    const { address: host, port } = this.#to;
    const socket = connect({ host, port });
    this.#socket = socket;
    let reason = "Closed by the collector";
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    socket.on("error", (error) => {
      reason = errorMessage(error);
    });
    socket.setTimeout(connectTimeoutMs, () => {
      socket.destroy(new Error(`No answer within ${connectTimeoutMs / 1000} s`));
    });
    // A collector has nothing to say (section 3.2): it is read only to see its end.
    socket.resume();
    socket.once("connect", () => void this.#connected(socket));
    const leave = () => this.#leave(socket);
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    await closed;
    signal.removeEventListener("abort", leave);
    this.#isGreeted = false;
    this.#socket = undefined;
    return reason;
  }

  async #connected(socket: Socket): Promise<void> {
    const { log, greeting, table } = this.#deps;
    socket.setTimeout(0);
    log.info({ ...this.#to }, "BMP collector connected");
    for (const message of greeting()) socket.write(message);
    this.#isGreeted = true;
    for (const message of table()) {
      if (socket.destroyed) return;
      if (message !== undefined) socket.write(message);
      else if (socket.writableLength > tableHighWaterBytes) await drained(socket);
      else await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #leave(socket: Socket): void {
    if (!this.#isGreeted) {
      socket.destroy();
      return;
    }
    this.#isGreeted = false;
    socket.end(this.#deps.farewell());
    const cancel = this.#deps.clock.setTimer(goodbyeMs, () => socket.destroy());
    socket.once("close", cancel);
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      socket.off("drain", settle);
      socket.off("close", settle);
      resolve();
    };
    socket.on("drain", settle);
    socket.on("close", settle);
  });
}
