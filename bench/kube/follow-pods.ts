import { readFileSync } from "node:fs";

/**
 * Follows all pods with the syncer, keeps what it tells, and prints its memory: KUBECONFIG PODS.
 * Without arguments it does nothing: the empty process that the figures are compared with.
 */

const [kubeconfig, pods] = process.argv.slice(2);
const kept = new Map<string, unknown>();
const startedAt = performance.now();
let inSyncMs = 0;
if (kubeconfig !== undefined) {
  const [{ openKubernetesDatastore }, { runSyncer }, { systemClock }] = await Promise.all([
    import("../../src/datastore/kubernetes/kubernetes-datastore.ts"),
    import("../../src/datastore/reflector.ts"),
    import("../../src/lib/clock.ts"),
  ]);
  const access = { kubeconfig };
  const datastore = await openKubernetesDatastore({ access, apiGroup: "crd.projectcalico.org/v1" });
  const { promise: inSync, resolve } = Promise.withResolvers<void>();
  const callbacks = {
    onUpdates: (
      updates: readonly { readonly key: { readonly name: string }; value: unknown }[],
    ) => {
      for (const { key, value } of updates) kept.set(key.name, value);
    },
    onStatus: (status: string) => {
      if (status === "in-sync") resolve();
    },
  };
  const ports = { datastore, clock: systemClock, callbacks };
  void runSyncer({ kinds: ["WorkloadEndpoint"] }, ports, new AbortController().signal);
  await inSync;
  inSyncMs = performance.now() - startedAt;
}
if (kept.size !== Number(pods ?? 0)) throw new Error(`${kept.size} pods, not ${pods}`);
const peakMb = memoryMb("VmHWM");
// What is garbage is given back when the process has been idle for a while.
await new Promise((resolve) => setTimeout(resolve, 3_000));
console.log(JSON.stringify({ rssMb: memoryMb("VmRSS"), peakMb, inSyncMs }));
process.exit(0);

function memoryMb(field: string): number {
  const status = readFileSync("/proc/self/status", "utf8");
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
}
