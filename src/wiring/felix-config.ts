import { isDeepStrictEqual } from "node:util";
import type { Datastore } from "../datastore/datastore.ts";
import { runSyncer } from "../datastore/reflector.ts";
import type { Update } from "../datastore/syncer.ts";
import { localSources } from "../felix/config/config-file.ts";
import { type FelixConfig, felixConfig } from "../felix/config/felix-config.ts";
import { systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Service } from "../lib/service.ts";
import type { FelixLog } from "./felix-log.ts";
import type { Environment } from "./process.ts";
import { StoredLayers } from "./stored-layers.ts";

interface ConfigPorts {
  readonly nodeName: string;
  readonly env: Environment;
  readonly datastore: Datastore;
  readonly log: Logger;
  /** Where `log` goes. */
  readonly felixLog: FelixLog;
}

/**
 * Follows the FelixConfigurations of a node. `onConfig` hears of the first configuration, and of each
 * that makes a difference. One that cannot be used is said and passed over; the first of that kind
 * ends the service.
 *
 * @throws {InputError} for a configuration file that cannot be read.
 */
export function watchConfig(ports: ConfigPorts, onConfig: (config: FelixConfig) => void): Service {
  const { nodeName, env, datastore, log, felixLog } = ports;
  const local = localSources(env);
  const stored = new StoredLayers(nodeName);
  let inSync = false;
  let present: FelixConfig | undefined;
  const failed = new AbortController();
  const judge = () => {
    if (!inSync || failed.signal.aborted) return;
    let next: FelixConfig;
    try {
      next = felixConfig({ ...stored.layers, ...local });
    } catch (err) {
      if (present === undefined) failed.abort(err);
      else log.error({ err }, "FelixConfiguration cannot be used");
      return;
    }
    felixLog.apply(next.logging, log);
    tell(next, present, log);
    const isNew = present === undefined || !isDeepStrictEqual(acting(next), acting(present));
    present = next;
    if (isNew) onConfig(next);
  };
  const callbacks = {
    onUpdates: (updates: readonly Update[]) => {
      if (stored.learn(updates)) judge();
    },
    onStatus: (status: string) => {
      inSync ||= status === "in-sync";
      judge();
    },
  };
  return async (signal) => {
    await runSyncer(
      { kinds: StoredLayers.kinds },
      { datastore, clock: systemClock, log, callbacks },
      AbortSignal.any([signal, failed.signal]),
    );
    failed.signal.throwIfAborted();
  };
}

/** Says once what nothing acts on, and what is wrong. */
function tell(next: FelixConfig, present: FelixConfig | undefined, log: Logger): void {
  if (next.ignored.length > 0 && !isDeepStrictEqual(next.ignored, present?.ignored)) {
    log.warn({ parameters: next.ignored }, "parameters that nothing acts on are ignored");
  }
  if (isDeepStrictEqual(next.problems, present?.problems)) return;
  for (const reason of next.problems) log.error({ reason }, "parameter has a wrong value");
}

/** What a Felix is made of; the log is changed where it is. */
function acting(config: FelixConfig): object {
  const { ignored: _ignored, problems: _problems, logging: _logging, ...rest } = config;
  return rest;
}
