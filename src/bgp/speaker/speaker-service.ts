import type { Kernel } from "../../kernel/kernel.ts";
import { durationSeconds } from "../../lib/duration.ts";
import { InputError } from "../../lib/errors.ts";
import { isIpAddr } from "../../lib/ip-addr.ts";
import { LogTail } from "../../lib/log-tail.ts";
import type { MetricsServerConfig } from "../../lib/metrics.ts";
import type { Service } from "../../lib/service.ts";
import { version } from "../../lib/version.ts";
import { birdSocketFolder, serveBird } from "../bird-socket/serve-bird.ts";
import { defaultControlPath } from "../control/control-path.ts";
import { serveControl } from "../control/serve-control.ts";
import type { RecordConfig } from "../record/recording.ts";
import { electedSessions } from "../reflector/elected-sessions.ts";
import { DatastoreConfig, type DatastoreConfigDeps } from "./datastore-config.ts";
import { nodeStatus } from "./node-status.ts";
import { NodeStatusReporter } from "./report-node-status.ts";
import { runSpeaker } from "./run-speaker.ts";
import { serveSpeakerMetrics } from "./serve-speaker-metrics.ts";

export interface BgpConfig {
  readonly nodeName: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Default: bgp.sock in TORTIE_RUN_DIR. */
  readonly statusPath?: string;
  /** Of the sockets that answer as BIRD's. Default: TORTIE_RUN_DIR, else /var/run/calico. */
  readonly birdFolder?: string;
  /** The run is recorded there. */
  readonly record?: RecordConfig;
}

export interface BgpDeps extends DatastoreConfigDeps {
  readonly kernel: Kernel;
  /** What `tortie bgp log` shows. Absent: nothing. */
  readonly tail?: LogTail;
}

/**
 * The BGP speaker of one node: follows the datastore, speaks with its peers and keeps the kernel's
 * routes of protocol 12. When it ends, sessions are closed without a word and the kernel's routes stay.
 */
export function runBgp(config: BgpConfig, deps: BgpDeps): Service {
  const { kernel, clock, log, tail = new LogTail() } = deps;
  const { env, statusPath = defaultControlPath(env), birdFolder = birdSocketFolder(env) } = config;
  const metrics = metricsAddress(env);
  const routing = { kernel, ...routeRefreshMs(env) };
  const record = config.record && { record: config.record };
  return runSpeaker({ routing, clock, log, ...record }, (running) => {
    const startedAt = new Date(running.startedAt);
    let configuredAt = startedAt;
    const source = new DatastoreConfig(config, deps, (next) => {
      configuredAt = clock.date();
      running.host.post({ kind: "configured", config: next });
    });
    const reporter = new NodeStatusReporter(config.nodeName, deps, (spec) => {
      const { speaker, host } = running;
      const known = { speaker, sessions: host.status(), version, startedAt, configuredAt };
      return nodeStatus(spec, known, clock.date());
    });
    return [
      (signal) => source.run(signal),
      (signal) => reporter.run(signal),
      (signal) => serveControl(statusPath, { running, tail, clock }, signal),
      ...(metrics === undefined ? [] : [serveSpeakerMetrics(metrics, { running, log })]),
      serveBird(birdFolder, { running, clock, log }),
      electedSessions(config.nodeName, running, deps),
    ];
  });
}

/**
 * TORTIE_BGP_METRICS, as in "127.0.0.1:9900" or "[::1]:9900": where Prometheus may ask.
 *
 * @throws {InputError}
 */
function metricsAddress(env: BgpConfig["env"]): MetricsServerConfig | undefined {
  const text = env["TORTIE_BGP_METRICS"] ?? "";
  if (text === "") return undefined;
  const [, six, four = six, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  if (four !== undefined && isIpAddr(four) && Number(port) <= 65_535) {
    return { address: four, port: Number(port) };
  }
  throw new InputError(`Cannot use TORTIE_BGP_METRICS "${text}": it must be as in 127.0.0.1:9900`);
}

/** Felix's parameter of this name paces both owners of routes: seconds, or as in "1m30s". */
function routeRefreshMs(env: BgpConfig["env"]): { readonly refreshMs?: number } {
  const text = env["FELIX_ROUTEREFRESHINTERVAL"] ?? "";
  if (text === "") return {};
  const seconds = /^\d+$/.test(text) ? Number(text) : durationSeconds(text);
  return { refreshMs: seconds === 0 ? Number.POSITIVE_INFINITY : seconds * 1000 };
}
