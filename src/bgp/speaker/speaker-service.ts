import type { Datastore } from "../../datastore/datastore.ts";
import { runSyncer, type SyncerConfig } from "../../datastore/reflector.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { Service } from "../../lib/service.ts";
import { durationSeconds } from "../config/duration.ts";
import { type SpeakerConfig, speakerConfig } from "../config/speaker-config.ts";
import { defaultControlPath } from "../control/control-path.ts";
import { LogTail } from "../control/log-tail.ts";
import { serveControl } from "../control/serve-control.ts";
import { bgpKinds, ResourceCache } from "./resource-cache.ts";
import { runSpeaker } from "./run-speaker.ts";
import type { SpeakerHost } from "./speaker-host.ts";

export interface BgpConfig {
  readonly nodeName: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Default: bgp.sock in TORTIE_RUN_DIR. */
  readonly statusPath?: string;
}

export interface BgpDeps {
  readonly datastore: Datastore;
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly log: Logger;
  /** What `tortie bgp log` shows. Absent: nothing. */
  readonly tail?: LogTail;
  /** Turns an object into what the speaker sees; null when it is invalid. */
  readonly decode?: SyncerConfig["decode"];
}

/** Changes of the datastore that arrive within this time are one change of configuration. */
const settleMs = 50;

/**
 * The BGP speaker of one node: follows the datastore, speaks with its peers and keeps the kernel's
 * routes of protocol 12. When it ends, sessions are closed without a word and the kernel's routes stay.
 */
export function runBgp(config: BgpConfig, deps: BgpDeps): Service {
  const { kernel, clock, log } = deps;
  const routing = { kernel, ...routeRefreshMs(config.env) };
  return runSpeaker({ routing, clock, log }, (running) => [
    (signal) => followDatastore(config, deps, { host: running.host, signal }),
    (signal) =>
      serveControl(controlPath(config), { running, tail: deps.tail ?? new LogTail() }, signal),
  ]);
}

/** Turns what the datastore says into configurations, as soon as it has said all. */
function followDatastore(
  { nodeName, env }: BgpConfig,
  { datastore, clock, log, decode }: BgpDeps,
  { host, signal }: { readonly host: SpeakerHost; readonly signal: AbortSignal },
): Promise<void> {
  const cache = new ResourceCache();
  let isInSync = false;
  let isPending = false;
  let last = "";
  const configure = () => {
    isPending = false;
    if (signal.aborted) return;
    const config = readConfig(() => speakerConfig(cache.resources, nodeName, speakerEnv(env)), log);
    const text = JSON.stringify(config);
    if (config === undefined || text === last) return;
    last = text;
    for (const problem of config.problems) log.warn({ problem }, "Configuration problem");
    for (const { name, reason } of config.blocked)
      log.warn({ peer: name, reason }, "Peer kept down");
    host.post({ kind: "configured", config });
  };
  const callbacks = {
    onUpdates: (updates: Parameters<ResourceCache["apply"]>[0][]) => {
      for (const update of updates) cache.apply(update);
      if (!isInSync || isPending) return;
      isPending = true;
      clock.setTimer(settleMs, configure);
    },
    onStatus: (status: string) => {
      if (status !== "in-sync" || isInSync) return;
      isInSync = true;
      configure();
    },
  };
  const syncer = { kinds: bgpKinds, ...(decode === undefined ? {} : { decode }) };
  return runSyncer(syncer, { datastore, callbacks, clock, log }, signal);
}

/** A configuration that cannot be read leaves the one before in force. */
function readConfig(read: () => SpeakerConfig | undefined, log: Logger): SpeakerConfig | undefined {
  try {
    const config = read();
    if (config === undefined) log.info("Waiting for this node's BGP address");
    return config;
  } catch (error) {
    log.error({ reason: errorMessage(error) }, "Configuration not usable");
    return undefined;
  }
}

function speakerEnv(env: BgpConfig["env"]): Parameters<typeof speakerConfig>[2] {
  const { CALICO_ROUTER_ID, FELIX_PROGRAMCLUSTERROUTES } = env;
  return {
    ...(CALICO_ROUTER_ID === undefined ? {} : { CALICO_ROUTER_ID }),
    ...(FELIX_PROGRAMCLUSTERROUTES === undefined ? {} : { FELIX_PROGRAMCLUSTERROUTES }),
  };
}

function controlPath({ statusPath, env }: BgpConfig): string {
  return statusPath ?? defaultControlPath(env);
}

/** Felix's parameter of this name paces both owners of routes: seconds, or as in "1m30s". */
function routeRefreshMs(env: BgpConfig["env"]): { readonly refreshMs?: number } {
  const text = env["FELIX_ROUTEREFRESHINTERVAL"] ?? "";
  if (text === "") return {};
  const seconds = /^\d+$/.test(text) ? Number(text) : durationSeconds(text);
  return { refreshMs: seconds === 0 ? Number.POSITIVE_INFINITY : seconds * 1000 };
}
