import type { Kernel, KernelEvent } from "../../kernel/kernel.ts";
import type { Clock } from "../../lib/clock.ts";
import { durationSeconds } from "../../lib/duration.ts";
import { errorMessage, InputError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { parsePrefix } from "../../lib/prefix.ts";
import { runServices, type Service } from "../../lib/service.ts";
import { FibSync } from "../fib/fib-sync.ts";
import { DatastoreConfig, type DatastoreConfigDeps } from "./datastore-config.ts";
import { Reachability } from "./reachability.ts";
import { Speaker } from "./speaker.ts";
import { SpeakerHost } from "./speaker-host.ts";
import { explainPrefix, speakerStatus } from "./status.ts";
import { serveStatus } from "./status-server.ts";

export interface BgpConfig {
  readonly nodeName: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Default: bgp.sock in TORTIE_RUN_DIR. */
  readonly statusPath?: string;
}

export interface BgpDeps extends DatastoreConfigDeps {
  readonly kernel: Kernel;
}

const monitorRetryMs = 1000;

/**
 * The BGP speaker of one node: follows the datastore, speaks with its peers and keeps the kernel's
 * routes of protocol 12. When it ends, sessions are closed without a word and the kernel's routes stay.
 */
export function runBgp(config: BgpConfig, deps: BgpDeps): Service {
  return async (signal) => {
    const { clock, log, kernel } = deps;
    const speaker = new Speaker();
    const mayKeep = speaker.mayKeep.bind(speaker);
    const refreshMs = routeRefreshMs(config.env);
    const fib = new FibSync({ kernel, clock, log, mayKeep, ...refreshMs });
    const reachability = new Reachability(kernel, clock, log);
    const onEvents = (events: readonly KernelEvent[]) => {
      fib.onKernelEvents(events);
      reachability.onKernelEvents(events);
    };
    const watched = watchKernel(kernel, { onEvents, clock, log }, signal);
    const adopted = await fib.adopt();
    if (adopted > 0) log.info({ routes: adopted }, "Routes of an earlier run kept");
    const isRestart = () => adopted > 0;
    const host = new SpeakerHost(speaker, { fib, clock, log, signal, isRestart });
    host.post({ kind: "nextHops", nextHops: await reachability.read() });
    const startedAt = clock.date().toISOString();
    const source = new DatastoreConfig(config, deps, (next) =>
      host.post({ kind: "configured", config: next }),
    );
    await runServices(
      [
        () => watched,
        (stop) => fib.run(stop),
        (stop) => reachability.run((nextHops) => host.post({ kind: "nextHops", nextHops }), stop),
        (stop) => source.run(stop),
        (stop) => serveStatus(statusPath(config), answers(speaker, host, startedAt), stop),
      ],
      signal,
    );
    await host.ended();
  };
}

/** Follows the kernel's changes. After a failure they count as lost. */
async function watchKernel(
  kernel: Kernel,
  deps: {
    readonly onEvents: (events: readonly KernelEvent[]) => void;
    readonly clock: Clock;
    readonly log: Logger;
  },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await kernel.monitor(deps.onEvents, signal);
      if (signal.aborted) return;
    } catch (error) {
      deps.log.warn({ reason: errorMessage(error) }, "Kernel monitor ended");
    }
    deps.onEvents([{ kind: "lost" }]);
    await deps.clock.sleep(monitorRetryMs, signal).catch(() => undefined);
  }
}

function answers(speaker: Speaker, host: SpeakerHost, startedAt: string) {
  return (request: string): unknown => {
    const [verb, argument = ""] = request.split(" ");
    if (verb === "status") return speakerStatus(speaker, host.status(), startedAt);
    if (verb === "rib") {
      const prefix = parsePrefix(argument);
      return explainPrefix(speaker, prefix) ?? { prefix, paths: [], kernel: "none", exports: {} };
    }
    throw new InputError(`Cannot answer "${request}": ask for status, or rib PREFIX`);
  };
}

function statusPath({ statusPath: path, env }: BgpConfig): string {
  return path ?? `${env["TORTIE_RUN_DIR"] || "/var/run/calico/tortie"}/bgp.sock`;
}

/** Felix's parameter of this name paces both owners of routes: seconds, or as in "1m30s". */
function routeRefreshMs(env: BgpConfig["env"]): { readonly refreshMs?: number } {
  const text = env["FELIX_ROUTEREFRESHINTERVAL"] ?? "";
  if (text === "") return {};
  const seconds = /^\d+$/.test(text) ? Number(text) : durationSeconds(text);
  return { refreshMs: seconds === 0 ? Number.POSITIVE_INFINITY : seconds * 1000 };
}
