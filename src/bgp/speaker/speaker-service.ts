import type { Kernel } from "../../kernel/kernel.ts";
import { durationSeconds } from "../../lib/duration.ts";
import type { Service } from "../../lib/service.ts";
import { defaultControlPath } from "../control/control-path.ts";
import { LogTail } from "../control/log-tail.ts";
import { serveControl } from "../control/serve-control.ts";
import { DatastoreConfig, type DatastoreConfigDeps } from "./datastore-config.ts";
import { runSpeaker } from "./run-speaker.ts";

export interface BgpConfig {
  readonly nodeName: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Default: bgp.sock in TORTIE_RUN_DIR. */
  readonly statusPath?: string;
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
  const { env, statusPath = defaultControlPath(env) } = config;
  const routing = { kernel, ...routeRefreshMs(env) };
  return runSpeaker({ routing, clock, log }, (running) => {
    const source = new DatastoreConfig(config, deps, (next) =>
      running.host.post({ kind: "configured", config: next }),
    );
    return [
      (signal) => source.run(signal),
      (signal) => serveControl(statusPath, { running, tail, clock }, signal),
    ];
  });
}

/** Felix's parameter of this name paces both owners of routes: seconds, or as in "1m30s". */
function routeRefreshMs(env: BgpConfig["env"]): { readonly refreshMs?: number } {
  const text = env["FELIX_ROUTEREFRESHINTERVAL"] ?? "";
  if (text === "") return {};
  const seconds = /^\d+$/.test(text) ? Number(text) : durationSeconds(text);
  return { refreshMs: seconds === 0 ? Number.POSITIVE_INFINITY : seconds * 1000 };
}
