import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { openKubernetesDatastore } from "../../src/datastore/kubernetes/kubernetes-datastore.ts";
import { startNode } from "../../test/support/node-start.ts";

/**
 * Starts many nodes at once in this process, and prints how long it took until all were in sync:
 * KUBECONFIG FIRST COUNT.
 */

const [kubeconfig = "", first = "0", count = "0"] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "tortie-bench-nodes-"));
const forever = new AbortController().signal;
const access = { KUBECONFIG: kubeconfig };
const startedAt = performance.now();
await Promise.all(
  Array.from({ length: Number(count) }, (_, i) =>
    startNode({ index: Number(first) + i, folder, access, open }, forever),
  ),
);
console.log(JSON.stringify({ inSyncMs: performance.now() - startedAt }));
rmSync(folder, { recursive: true });
process.exit(0);

/** Patient: one thread does here what that of every node does elsewhere. */
function open(): Promise<Datastore> {
  const config = { access: { kubeconfig }, apiGroup: "crd.projectcalico.org/v1" } as const;
  return openKubernetesDatastore(config, { deadlineMs: 120_000 });
}
