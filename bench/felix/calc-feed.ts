import type { Kind, ResourceOfKind } from "../../src/api/resource-of-kind.ts";
import type { Datastore, ResourceList, WatchEvent } from "../../src/datastore/datastore.ts";
import { heldWhileLocked } from "../../src/datastore/lock-gate.ts";
import { runSyncer } from "../../src/datastore/reflector.ts";
import { CalcGraph, calcKinds } from "../../src/felix/calc/calc-graph.ts";
import type { DataplaneUpdate } from "../../src/felix/calc/updates.ts";
import { calculate } from "../../src/felix/calculate.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { acceptStored } from "../../src/wiring/decode.ts";
import { benchNode, type ClusterSize, texts } from "./calc-cluster.ts";

/** Lists the cluster once and never changes. What it listed it keeps no longer, as a connection would. */
class ClusterDatastore implements Pick<Datastore, "list" | "watch"> {
  readonly #lists: Map<Kind, readonly ResourceOfKind[Kind][]>;

  /** Each object is parsed for itself, as from a datastore: equal texts are not one text in memory. */
  constructor(size: ClusterSize, kinds: readonly Kind[]) {
    this.#lists = new Map(
      kinds.map((kind) => [kind, Array.from(texts(kind, size), (text) => JSON.parse(text))]),
    );
  }

  async list<K extends Kind>(kind: K): Promise<ResourceList<ResourceOfKind[K]>> {
    const items = (this.#lists.get(kind) ?? []) as readonly ResourceOfKind[K][];
    this.#lists.delete(kind);
    return { items, revision: "1" };
  }

  async *watch(_kinds: readonly Kind[], _revision: string, signal: AbortSignal) {
    const nothing: WatchEvent[] = [];
    yield* nothing;
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }
}

const kinds: readonly Kind[] = ["ClusterInformation", ...calcKinds];

export function clusterDatastore(size: ClusterSize): Datastore {
  return new ClusterDatastore(size, kinds) as unknown as Datastore;
}

/** From an empty graph to the output in sync, on felix's own way: syncer, checks, lock gate, graph. */
export async function feedCluster(datastore: Datastore): Promise<DataplaneUpdate[]> {
  const graph = new CalcGraph({ nodeName: benchNode });
  const stop = new AbortController();
  const callbacks = heldWhileLocked(
    {
      onUpdates: (updates) => {
        for (const { key, value } of updates) graph.update(key, value);
      },
      onStatus: (status) => {
        if (status !== "in-sync") return;
        graph.setInSync();
        stop.abort();
      },
    },
    () => undefined,
  );
  const log = createLogger({ name: "bench", level: "silent" });
  await runSyncer(
    { kinds, decode: acceptStored(log) },
    { datastore, callbacks, clock: systemClock },
    stop.signal,
  );
  return await calculate(graph, systemClock);
}
