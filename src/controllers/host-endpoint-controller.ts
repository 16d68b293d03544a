import { isDeepStrictEqual } from "node:util";
import { keyOf } from "../api/resource-key.ts";
import type { HostEndpoint } from "../api/resources/host-endpoint.ts";
import { isLocked } from "../datastore/cluster-lock.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import { runSyncer } from "../datastore/reflector.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { PacedRunner } from "../lib/paced-runner.ts";
import { runServices, type Service } from "../lib/service.ts";
import { autoHostEndpoints, type HostEndpointConfig, isAuto } from "./auto-host-endpoints.ts";
import { type CountedPorts, counted } from "./reconcile-counts.ts";

export interface HostEndpointPorts extends CountedPorts {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
  /** Beats the configuration that is stored. */
  readonly override: Pick<HostEndpointConfig, "autoCreate">;
}

const paces = { minIntervalMs: 1_000, retryIntervalMs: 5_000, maxIntervalMs: 300_000 };

/** Keeps the host endpoints of nodes as autoHostEndpoints says (facts 7.2). */
export function hostEndpointController(ports: HostEndpointPorts): Service {
  const { clock, log } = ports;
  const runner = new PacedRunner(paces, clock);
  const onError = (error: unknown) =>
    log.error({ reason: errorMessage(error) }, "Cannot keep host endpoints");
  const callbacks = { onUpdates: () => runner.request(), onStatus: () => undefined };
  const kinds = ["KubeControllersConfiguration", "Node", "HostEndpoint"] as const;
  return (signal) =>
    runServices(
      [
        (stop) =>
          runner.start(
            counted(ports, "hostEndpoint", () => settle(ports, stop)),
            onError,
            stop,
          ),
        (stop) => runSyncer({ kinds }, { ...ports, callbacks }, stop),
      ],
      signal,
    );
}

async function settle(ports: HostEndpointPorts, signal: AbortSignal): Promise<void> {
  const { datastore, log } = ports;
  if (await isLocked(datastore)) return;
  const config = await configuration(ports);
  const { items: nodes } = await datastore.list("Node");
  const wanted = new Map(
    autoHostEndpoints(nodes, config).map((each) => [each.metadata.name, each]),
  );
  const { items: present } = await datastore.list("HostEndpoint");
  for (const endpoint of present) {
    const { name } = endpoint.metadata;
    const next = wanted.get(name);
    wanted.delete(name);
    if (signal.aborted) return;
    if (!isAuto(endpoint)) {
      if (next !== undefined) log.warn({ hostEndpoint: name }, "is somebody else's: left as it is");
    } else if (next === undefined) {
      await unlessTaken(() => datastore.delete(keyOf(endpoint)));
      log.info({ hostEndpoint: name }, "Deleted a host endpoint that no node has any more");
    } else if (differs(endpoint, next)) {
      const metadata = { ...endpoint.metadata, ...next.metadata };
      await unlessTaken(() => datastore.update<"HostEndpoint">({ ...next, metadata }));
    }
  }
  for (const endpoint of wanted.values()) {
    if (signal.aborted) return;
    await unlessTaken(() => datastore.create<"HostEndpoint">(endpoint));
    log.info({ hostEndpoint: endpoint.metadata.name }, "Created the host endpoint of a node");
  }
}

async function configuration({
  datastore,
  override,
}: HostEndpointPorts): Promise<HostEndpointConfig> {
  try {
    const key = { kind: "KubeControllersConfiguration", name: "default" } as const;
    const { spec } = await datastore.get(key);
    return { ...spec.controllers?.node?.hostEndpoint, ...override };
  } catch (error) {
    if (isDatastoreError(error, "not-found")) return override;
    throw error;
  }
}

function differs(present: HostEndpoint, next: HostEndpoint): boolean {
  const content = ({ metadata: { labels }, spec }: HostEndpoint) => ({ labels, spec });
  return !isDeepStrictEqual(content(present), content(next));
}

/** Somebody else wrote or deleted it: the next look sees what it is now. */
async function unlessTaken(write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    const isTaken = (["conflict", "not-found", "already-exists"] as const).some((code) =>
      isDatastoreError(error, code),
    );
    if (!isTaken) throw error;
  }
}
