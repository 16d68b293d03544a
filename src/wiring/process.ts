import { errorMessage } from "../lib/errors.ts";
import { createLogger, type Logger, type LoggerConfig, levelOfSeverity } from "../lib/log.ts";
import { standardError } from "../lib/log-writer.ts";

/** Takes lines. */
export interface LogSink {
  write(line: string): void;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Where a daemon's log goes, and which debug lines of it. */
export type DaemonLog = Pick<LoggerConfig, "debugFiles"> & { readonly destination?: LogSink };

/** Runs a daemon until SIGTERM or SIGINT. Exit code 0 after a clean stop, 1 when it failed. */
export async function runDaemon(
  name: string,
  env: Environment,
  run: (log: Logger, signal: AbortSignal) => Promise<void>,
  { destination, ...logging }: DaemonLog = {},
): Promise<number> {
  const level = levelOfSeverity(env["FELIX_LOGSEVERITYSCREEN"] ?? "Info");
  const log = createLogger({ name, level, ...logging }, destination);
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      log.info({ signal }, "stopping");
      stop.abort(new Error(`stopped by ${signal}`));
    });
  }
  try {
    log.info({ pid: process.pid }, "starting");
    await run(log, stop.signal);
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return 0;
    log.fatal({ err: error }, "failed");
    process.stderr.write(`${name}: ${errorMessage(error)}\n`);
    return 1;
  }
}

/** Lines to standard error, as the logger does by itself, and to `tail`. */
export function teed(tail: LogSink): LogSink {
  return {
    write: (line) => {
      standardError.write(line);
      tail.write(line);
    },
  };
}
