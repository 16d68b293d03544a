import { mkdirSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { dirname } from "node:path";
import { aborted } from "./service.ts";

export interface LineServerConfig {
  readonly path: string;
  /** Longest request line, in characters. */
  readonly maxLength: number;
}

/** A client's connection, for whoever answers it. */
export interface LineClient {
  /** Aborted when the client says no more. */
  readonly signal: AbortSignal;
  /** Resolves when the client can take more; rejects when it has gone. */
  write(text: string): Promise<void>;
  end(text?: string): void;
}

export interface LineHandlers {
  readonly connected?: (client: LineClient) => void;
  /** Lines come one at a time: the next when this has settled. */
  readonly line: (line: string, client: LineClient) => Promise<void>;
}

const maxConnections = 16;
/** Requests of one client that wait for the one before. */
const maxWaiting = 16;
/** How long a client may ask nothing, or not read what it is sent. */
const silenceLimitMs = 30_000;

/**
 * A unix socket that only its owner may open (0600 in a folder of 0700), for requests of one line.
 * What stands at the path goes: it is our own.
 */
export async function serveLines(
  { path, maxLength }: LineServerConfig,
  handlers: LineHandlers,
  signal: AbortSignal,
): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  rmSync(path, { force: true });
  const clients = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    clients.add(socket);
    socket.on("close", () => clients.delete(socket));
    new Conversation(socket, maxLength, handlers).start();
  });
  server.maxConnections = maxConnections;
  const listening = new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", resolve);
  });
  // The socket is bound within this call, so nobody finds it with wider permissions.
  const before = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(before);
  }
  await listening;
  await aborted(signal);
  for (const socket of clients) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
}

class Conversation implements LineClient {
  readonly #socket: Socket;
  readonly #maxLength: number;
  readonly #handlers: LineHandlers;
  readonly #ended = new AbortController();
  readonly #lines: string[] = [];
  #partial = "";
  #isBusy = false;

  constructor(socket: Socket, maxLength: number, handlers: LineHandlers) {
    this.#socket = socket;
    this.#maxLength = maxLength;
    this.#handlers = handlers;
  }

  start(): void {
    const socket = this.#socket;
    socket.setEncoding("utf8");
    socket.setTimeout(silenceLimitMs, () => {
      if (!this.#isBusy || socket.writableLength > 0) socket.destroy();
    });
    // A client that has gone is no news.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#ended.abort());
    socket.on("end", () => {
      this.#ended.abort();
      if (!this.#isBusy) socket.end();
    });
    socket.on("data", (chunk: string) => this.#take(chunk));
    this.#handlers.connected?.(this);
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  write(text: string): Promise<void> {
    const socket = this.#socket;
    if (!socket.writable) return Promise.reject(new Error("The client has gone"));
    if (socket.write(text)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = () => {
        socket.off("drain", settle);
        socket.off("close", settle);
        if (socket.destroyed) reject(new Error("The client has gone"));
        else resolve();
      };
      socket.on("drain", settle);
      socket.on("close", settle);
    });
  }

  end(text = ""): void {
    this.#socket.end(text);
  }

  #take(chunk: string): void {
    const lines = (this.#partial + chunk).split("\n");
    this.#partial = lines.pop() ?? "";
    this.#lines.push(...lines);
    const isTooLong = [this.#partial, ...lines].some((line) => line.length > this.#maxLength);
    if (isTooLong || this.#lines.length > maxWaiting) this.#socket.destroy();
    else if (!this.#isBusy) void this.#answerAll();
  }

  async #answerAll(): Promise<void> {
    this.#isBusy = true;
    try {
      for (let line = this.#lines.shift(); line !== undefined; line = this.#lines.shift()) {
        if (this.#socket.writable) await this.#handlers.line(line.trim(), this);
      }
    } catch {
      this.#socket.destroy();
    }
    this.#isBusy = false;
    if (this.#ended.signal.aborted) this.#socket.end();
  }
}
