import type { Datastore } from "../../src/datastore/datastore.ts";
import { runSyncer } from "../../src/datastore/reflector.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { median, ms, type Row, timed } from "../row.ts";
import { storesHere, withStore } from "./stores.ts";

export async function syncerRow(name: string, objects: number): Promise<Row> {
  const work = `syncer: ${objects.toLocaleString("en")} objects in sync, ${name}`;
  const mustReach = "<= 2 x the bare list";
  const open = storesHere()[name];
  if (typeof open !== "function") return { work, measured: `not measured: ${open}`, mustReach };
  return await withStore(open, async ({ datastore }) => {
    await fill(datastore, objects);
    const listMs: number[] = [];
    const syncMs: number[] = [];
    for (let round = 0; round < 3; round++) {
      listMs.push(await timed(() => datastore.list("IPAMHandle")));
      syncMs.push(await timed(() => untilInSync(datastore)));
    }
    const ratio = median(syncMs) / median(listMs);
    return {
      work,
      measured: `${ms(median(syncMs))}, bare list ${ms(median(listMs))}: ${ratio.toFixed(2)} x`,
      mustReach,
      reached: ratio <= 2,
    };
  });
}

async function fill(datastore: Datastore, objects: number): Promise<void> {
  const atOnce = 200;
  for (let from = 0; from < objects; from += atOnce) {
    await Promise.all(
      Array.from({ length: Math.min(atOnce, objects - from) }, (_, offset) =>
        datastore.create<"IPAMHandle">({
          apiVersion: "projectcalico.org/v3",
          kind: "IPAMHandle",
          metadata: { name: `k8s-pod-network.${from + offset}` },
          spec: {
            handleID: `k8s-pod-network.${from + offset}`,
            block: { "10.0.0.0/26": 1 },
            deleted: false,
          },
        }),
      ),
    );
  }
}

async function untilInSync(datastore: Datastore): Promise<void> {
  const stop = new AbortController();
  const callbacks = {
    onUpdates: () => undefined,
    onStatus: (status: string) => {
      if (status === "in-sync") stop.abort();
    },
  };
  await runSyncer(
    { kinds: ["IPAMHandle"] },
    { datastore, callbacks, clock: systemClock },
    stop.signal,
  );
}
