import { connect, type Socket } from "node:net";
import { headerLength, keepalive, openMessage } from "./messages.ts";
import type { PrefixCounter } from "./prefix-counter.ts";

export interface LoadSessionConfig {
  readonly address: string;
  readonly routerId: number;
  readonly target: string;
  readonly port: number;
  readonly asn: number;
  readonly holdSeconds: number;
  readonly counter: PrefixCounter;
  /** After each chunk of bytes that changed the counter. */
  readonly onProgress: (session: LoadSession) => void;
}

/**
 * Sockets read into one buffer: libuv reads and calls back before it reads the next, so nothing is
 * allocated and no stream is between kernel and counter.
 */
const readBuffer = new Uint8Array(256 * 1024);
/** Extended messages are not offered. */
const maxMessageLength = 4096;
const reconnectMs = 10;
/**
 * How long a connection may be silent before its first message; doubled each time. Daemons listen
 * with queues of 5 or 8, and what does not fit there looks connected from here for a minute.
 */
const firstSilenceMs = 1000;

/**
 * One BGP session of the load: connects until it is Established, answers what it must, and counts.
 */
export class LoadSession {
  readonly config: LoadSessionConfig;
  isEstablished = false;
  /** Sessions that the other side ended, and its last words. */
  losses = 0;
  lastNotification = "";
  /** Longest time without a message of the target while Established. */
  longestSilenceMs = 0;
  #socket: Socket | undefined;
  /** A message of which only the start is here. */
  readonly #partial = new Uint8Array(maxMessageLength);
  #partialLength = 0;
  #lastHeard = 0;
  #onEstablished: () => void = () => undefined;
  #keepalives: NodeJS.Timeout | undefined;
  #silence: NodeJS.Timeout | undefined;
  #allowedSilenceMs = firstSilenceMs;
  #isWanted = false;

  constructor(config: LoadSessionConfig) {
    this.config = config;
  }

  /** Connects, again and again. `onEstablished` is called each time. */
  start(onEstablished: () => void): void {
    this.#isWanted = true;
    this.#onEstablished = onEstablished;
    this.#connect();
  }

  /** Ends TCP without a word. */
  stop(): void {
    this.#isWanted = false;
    this.#drop();
  }

  send(bytes: Uint8Array): void {
    this.#socket?.write(bytes);
  }

  /** Counts the silence that has not ended yet. */
  checkSilence(now: number): void {
    if (!this.isEstablished) return;
    this.longestSilenceMs = Math.max(this.longestSilenceMs, now - this.#lastHeard);
  }

  #connect(): void {
    const { address, target, port, asn, holdSeconds, routerId } = this.config;
    const socket: Socket = connect({
      host: target,
      port,
      localAddress: address,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length: number) => {
          if (this.#socket === socket) this.#data(length);
          return true;
        },
      },
    });
    this.#socket = socket;
    this.#silence = setTimeout(() => {
      this.#allowedSilenceMs *= 2;
      this.#lost(socket);
    }, this.#allowedSilenceMs);
    socket.on("connect", () => socket.write(openMessage(asn, holdSeconds, routerId)));
    socket.on("error", (error) => {
      this.lastNotification ||= error.message;
    });
    // The target's end of the connection: "end" comes only while somebody reads.
    socket.on("end", () => this.#lost(socket));
    socket.on("close", () => this.#lost(socket));
  }

  #lost(socket: Socket): void {
    if (this.#socket !== socket) return;
    if (this.isEstablished) this.losses++;
    this.#drop();
    if (this.#isWanted)
      setTimeout(() => this.#isWanted && !this.#socket && this.#connect(), reconnectMs);
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.isEstablished = false;
    this.#partialLength = 0;
    this.config.counter.clear();
    clearInterval(this.#keepalives);
    clearTimeout(this.#silence);
    socket?.destroy();
  }

  #data(length: number): void {
    const now = performance.now();
    this.checkSilence(now);
    this.#lastHeard = now;
    const before = this.config.counter.count;
    let at = this.#completePartial(length);
    while (length - at >= headerLength) {
      const size = ((readBuffer[at + 16] as number) << 8) | (readBuffer[at + 17] as number);
      if (length - at < size) break;
      this.#message(readBuffer, at, at + size);
      at += size;
    }
    if (at < length) {
      this.#partial.set(readBuffer.subarray(at, length));
      this.#partialLength = length - at;
    }
    if (this.config.counter.count !== before) this.config.onProgress(this);
  }

  /** Finishes the message that the last chunk began. Gives how much of this chunk it took. */
  #completePartial(length: number): number {
    const have = this.#partialLength;
    if (have === 0) return 0;
    const partial = this.#partial;
    const headerMissing = Math.max(0, headerLength - have);
    partial.set(readBuffer.subarray(0, Math.min(headerMissing, length)), have);
    if (length < headerMissing) {
      this.#partialLength += length;
      return length;
    }
    const size = ((partial[16] as number) << 8) | (partial[17] as number);
    const missing = size - have;
    partial.set(readBuffer.subarray(0, Math.min(missing, length)), have);
    if (length < missing) {
      this.#partialLength += length;
      return length;
    }
    this.#partialLength = 0;
    this.#message(partial, 0, size);
    return missing;
  }

  #message(bytes: Uint8Array, start: number, end: number): void {
    const type = bytes[start + 18];
    if (type === 2) {
      this.config.counter.update(bytes, start + headerLength, end);
    } else if (type === 1) {
      clearTimeout(this.#silence);
      this.#socket?.write(keepalive);
    } else if (type === 4) {
      if (!this.isEstablished) this.#established();
    } else if (type === 3) {
      this.lastNotification = `NOTIFICATION ${bytes[start + 19]}/${bytes[start + 20]}`;
    }
  }

  #established(): void {
    this.isEstablished = true;
    this.#allowedSilenceMs = firstSilenceMs;
    this.#keepalives = setInterval(
      () => this.send(keepalive),
      (this.config.holdSeconds * 1000) / 3,
    );
    this.#onEstablished();
  }
}
