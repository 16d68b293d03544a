import type { Datastore } from "../../datastore/datastore.ts";
import type { SyncerConfig } from "../../datastore/reflector.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { LogTail } from "../../lib/log-tail.ts";
import { runServices, type Service } from "../../lib/service.ts";
import { type ReflectorIdentity, reflectorConfig } from "../config/reflector.ts";
import { serveControl } from "../control/serve-control.ts";
import { DatastoreConfig } from "../speaker/datastore-config.ts";
import { type RunningSpeaker, runSpeaker } from "../speaker/run-speaker.ts";
import { reflectorPresence } from "./reflector-presence.ts";
import type { ReflectorSessions } from "./reflector-readiness.ts";

export interface ReflectorConfig {
  readonly identity: ReflectorIdentity;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of the control socket. */
  readonly controlPath: string;
}

export interface ReflectorDeps {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly tail: LogTail;
  readonly decode: NonNullable<SyncerConfig["decode"]>;
}

/** Kinds that a reflector's configuration is made of. */
const kinds = ["Node", "IPPool", "BGPConfiguration"] as const;

/** The nodes have so long to end their sessions by themselves. */
const farewellMs = 10_000;
const pollMs = 100;

/**
 * A route reflector that is a pod: all nodes are its clients. It asks nothing of the kernel, so it needs no
 * privilege. `onSessions` is given what tells how far its sessions are.
 */
export function runReflector(
  { identity, env, controlPath }: ReflectorConfig,
  deps: ReflectorDeps,
  onSessions: (sessions: () => ReflectorSessions) => void,
): Service {
  const { clock, log, tail } = deps;
  return async (signal) => {
    // The speaker outlives the signal until the nodes have let it go.
    const end = new AbortController();
    // The host's address is that of a client too: a next hop there is as good as any.
    const routing = { ownAddresses: [] };
    const speaker = runSpeaker({ routing, clock, log }, (running) => {
      onSessions(() => sessionsOf(running));
      const source = {
        kinds,
        configOf: (resources: Parameters<typeof reflectorConfig>[0]) =>
          reflectorConfig(resources, identity),
      };
      const config = { nodeName: identity.name, env, source };
      const follow = new DatastoreConfig(config, deps, (next) =>
        running.host.post({ kind: "configured", config: next }),
      );
      const presence: Service = async (stop) => {
        await reflectorPresence(identity, deps)(AbortSignal.any([signal, stop]));
        await farewell(running, clock, stop);
        end.abort();
      };
      return [
        (stop) => follow.run(stop),
        (stop) => serveControl(controlPath, { running, tail, clock }, stop),
        presence,
      ];
    });
    await runServices([speaker], end.signal);
  };
}

function sessionsOf({ speaker, host }: RunningSpeaker): ReflectorSessions {
  const status = host.status();
  return {
    configured: speaker.config !== undefined,
    clients: status.length,
    established: status.filter(({ state }) => state === "Established").length,
  };
}

/** A node that loses a session by surprise keeps its routes as stale; one that ends it does not. */
async function farewell(running: RunningSpeaker, clock: Clock, stop: AbortSignal): Promise<void> {
  const deadline = clock.now() + farewellMs;
  while (!stop.aborted && clock.now() < deadline && sessionsOf(running).established > 0) {
    await clock.sleep(pollMs, stop).catch(() => undefined);
  }
}
