import { dirname } from "node:path";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage, InputError } from "../../lib/errors.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import type { LogTail } from "../../lib/log-tail.ts";
import { aborted, type Service } from "../../lib/service.ts";
import { serveControl } from "../control/serve-control.ts";
import type { RecordConfig } from "../record/recording.ts";
import { type RunningSpeaker, runSpeaker } from "../speaker/run-speaker.ts";
import { serveSpeakerMetrics } from "../speaker/serve-speaker-metrics.ts";
import { MetricsEndpoint } from "./metrics-endpoint.ts";
import { Observers } from "./observers.ts";
import type { Files } from "./password-file.ts";
import { type Problem, problemText } from "./place.ts";
import { readSpeakerFile, type SpeakerFile, type SpeakerFileResult } from "./speaker-file.ts";

export interface StandaloneConfig {
  /** The speaker's file. */
  readonly path: string;
  /** Of the control socket. */
  readonly socketPath: string;
  /** The run is recorded there. */
  readonly record?: RecordConfig;
}

export interface StandaloneDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** What `tortie bgp log` shows. */
  readonly tail: LogTail;
  readonly read: Files["read"];
  /** Only called where the file says that routes are installed. */
  readonly openKernel: () => Promise<Kernel>;
  readonly ownAddresses: () => readonly IpAddr[];
  /** Calls back when somebody wants the file read again (SIGHUP). */
  readonly onReload: (reload: () => void) => void;
}

/** Reads the file at `path`. A file that cannot be read is a mistake like others. */
export function openSpeakerFile(path: string, read: Files["read"]): SpeakerFileResult {
  try {
    return readSpeakerFile(read(path).text, { folder: dirname(path), read });
  } catch (error) {
    const what = `cannot be read: ${errorMessage(error)}`;
    return { problems: [{ line: 1, field: "", what }] };
  }
}

/**
 * A speaker that its own file configures, without a datastore.
 *
 * @throws {InputError} with all mistakes of the file, a line each.
 */
export function runStandalone(config: StandaloneConfig, deps: StandaloneDeps): Service {
  return async (signal) => {
    const { clock, log } = deps;
    const { path } = config;
    const first = openSpeakerFile(path, deps.read);
    if ("problems" in first) {
      throw new InputError(first.problems.map((each) => problemText(path, each)).join("\n"));
    }
    const { install, table } = first.file.config;
    const kernel = install === true ? await deps.openKernel() : undefined;
    const routing =
      kernel === undefined
        ? { ownAddresses: deps.ownAddresses() }
        : { kernel, ...(table === undefined ? {} : { table }) };
    try {
      const record = config.record && { record: config.record };
      await runSpeaker({ routing, clock, log, ...record }, (running) => {
        const observers = new Observers({ running, clock, log });
        return [
          (stop) => observers.run(stop),
          (stop) => followFile(first.file, { config, deps, running, observers }, stop),
          (stop) => serveControl(config.socketPath, { running, tail: deps.tail, clock }, stop),
        ];
      })(signal);
    } finally {
      kernel?.close();
    }
  };
}

/** Gives the speaker what the file says, now and whenever it is to be read again. */
async function followFile(
  first: SpeakerFile,
  context: {
    readonly config: StandaloneConfig;
    readonly deps: StandaloneDeps;
    readonly running: RunningSpeaker;
    readonly observers: Observers;
  },
  signal: AbortSignal,
): Promise<void> {
  const { config, deps, running, observers } = context;
  const { log } = deps;
  let last = first;
  const folder = dirname(config.path);
  observers.configure(first, folder);
  const metrics = new MetricsEndpoint((where) => serveSpeakerMetrics(where, { running, log }));
  metrics.apply(first.metrics);
  running.host.post({ kind: "configured", config: first.config });
  deps.onReload(() => {
    if (signal.aborted) return;
    const result = openSpeakerFile(config.path, deps.read);
    const problems = "problems" in result ? result.problems : unchangeable(last, result.file);
    for (const problem of problems) {
      log.error({ problem: problemText(config.path, problem) }, "The file is not applied");
    }
    if (problems.length > 0 || !("file" in result)) return;
    const isSame = JSON.stringify(result.file) === JSON.stringify(last);
    last = result.file;
    observers.configure(last, folder);
    log.info(
      { neighbors: neighborCount(last) },
      isSame ? "The file says the same" : "File applied",
    );
    if (isSame) return;
    metrics.apply(last.metrics);
    running.host.post({ kind: "configured", config: last.config });
  });
  await aborted(signal);
  await metrics.close();
}

/** What only a restart can change. */
function unchangeable(before: SpeakerFile, after: SpeakerFile): readonly Problem[] {
  const what = "cannot change while the speaker runs: restart it";
  return (["install", "table"] as const)
    .filter((key) => before.config[key] !== after.config[key])
    .map((key) => ({ line: 1, field: `kernel.${key}`, what, value: String(after.config[key]) }));
}

/** Entries of `neighbors`. */
export function neighborCount({ config }: SpeakerFile): number {
  return config.peers.length + (config.dynamicPeers?.length ?? 0);
}
