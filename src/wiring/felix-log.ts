import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { LoggingConfig } from "../felix/config/logging-config.ts";
import { Syslog } from "../kernel/syslog.ts";
import { AppendFile } from "../lib/append-file.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger, LogLevel } from "../lib/log.ts";
import { type LogOutput, LogOutputs } from "../lib/log-outputs.ts";
import { standardError } from "../lib/log-writer.ts";

/**
 * Where felix' log goes: standard error, a file and syslog, each from its own level on. None of them
 * holds up the process. One that cannot be had is told to the others, once, and tried again when the
 * configuration names another.
 */
export class FelixLog {
  /** What the logger writes to: standard error alone at first. */
  readonly destination: LogOutputs = new LogOutputs();
  readonly #screen: LogOutput;
  readonly #syslogPath: string;
  #config: LoggingConfig | undefined;
  #file: AppendFile | undefined;
  #syslog: Syslog | undefined;

  constructor(ports: { readonly screen?: LogOutput; readonly syslogPath?: string } = {}) {
    this.#screen = ports.screen ?? standardError;
    this.#syslogPath = ports.syslogPath ?? "/dev/log";
    this.destination.set([["trace", this.#screen]]);
  }

  /** Source files whose debug lines are written; undefined: all. */
  get debugFiles(): RegExp | undefined {
    return this.#config?.debugFiles;
  }

  /** `log` writes to `destination`; its level follows. */
  apply(config: LoggingConfig, log: Logger): void {
    const before = this.#config;
    if (isDeepStrictEqual(config, before)) return;
    this.#config = config;
    if (config.file?.path !== before?.file?.path) {
      void this.#file?.close();
      this.#file = config.file === undefined ? undefined : openFile(config.file.path, log);
    }
    if (config.syslog !== before?.syslog) {
      this.#syslog?.close();
      this.#syslog = config.syslog === "silent" ? undefined : this.#openSyslog(log);
    }
    log.level = this.destination.set(this.#outputs(config));
  }

  /** Resolves when the file has all of it. */
  async close(): Promise<void> {
    this.#syslog?.close();
    await this.#file?.close();
  }

  #outputs({ screen, file, syslog }: LoggingConfig): (readonly [LogLevel, LogOutput])[] {
    return [
      [screen, this.#screen],
      ...(file === undefined || this.#file === undefined
        ? []
        : [[file.level, this.#file] as const]),
      ...(this.#syslog === undefined ? [] : [[syslog, this.#syslog] as const]),
    ];
  }

  #openSyslog(log: Logger): Syslog | undefined {
    try {
      return new Syslog(this.#syslogPath);
    } catch (error) {
      log.warn({ reason: errorMessage(error) }, "logSeveritySys has no effect");
      return undefined;
    }
  }
}

/** Makes the file's own folder, no more: what cannot be made is told when the file is opened. */
function openFile(path: string, log: Logger): AppendFile {
  try {
    mkdirSync(dirname(path));
  } catch {
    // As a rule it is there.
  }
  return new AppendFile({ path }, log);
}
