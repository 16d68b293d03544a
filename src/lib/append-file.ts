import { createWriteStream, type WriteStream } from "node:fs";
import { errorMessage } from "./errors.ts";
import type { Logger } from "./log.ts";

export interface AppendFileConfig {
  readonly path: string;
  /** What is there already goes. Default: it stays. */
  readonly isNew?: boolean;
  /** Most octets that wait for the disk; what comes beyond is left out. Default 64 MiB. */
  readonly maxQueuedBytes?: number;
}

const defaultMaxQueuedBytes = 64 * 1024 * 1024;

/** A file to whose end is written, which only its owner may read. Its failure is logged, and no more. */
export class AppendFile {
  readonly #config: AppendFileConfig;
  readonly #log: Logger;
  readonly #stream: WriteStream;
  #hasFailed = false;
  /** Writes that were left out since the last that was not. */
  #omitted = 0;

  constructor(config: AppendFileConfig, log: Logger) {
    this.#config = config;
    this.#log = log;
    this.#stream = createWriteStream(config.path, {
      flags: config.isNew === true ? "w" : "a",
      mode: 0o600,
    });
    this.#stream.on("error", (error) => {
      this.#hasFailed = true;
      log.error({ path: config.path, reason: errorMessage(error) }, "Cannot write file");
    });
  }

  get path(): string {
    return this.#config.path;
  }

  /** All of it or nothing. False: nothing, as the disk is too slow or has failed. */
  write(data: Uint8Array | string): boolean {
    const { maxQueuedBytes = defaultMaxQueuedBytes, path } = this.#config;
    if (this.#hasFailed) return false;
    if (this.#stream.writableLength > maxQueuedBytes) {
      this.#omitted++;
      return false;
    }
    const omitted = this.#omitted;
    // First of all: what is logged may come here itself.
    this.#omitted = 0;
    if (omitted > 0) this.#log.warn({ path, omitted }, "Writes left out");
    this.#stream.write(data);
    return true;
  }

  /** Resolves when all is written, or cannot be. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#stream.closed) resolve();
      this.#stream.once("close", () => resolve());
      this.#stream.end();
    });
  }
}
