import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { KubeApiServer, type ServerOptions } from "../../test/support/kube-apiserver.ts";

/** Many nodes start at once against one API server: requests of each, and how long until all are in sync. */

const program = fileURLToPath(new URL("start-nodes.ts", import.meta.url));
const mustRequest = 40;
const mustTakeMs = 20_000;

/** Every request, when it comes: a watch, too. */
const auditPolicy = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["ResponseStarted", "ResponseComplete", "Panic"],
  rules: [{ level: "Metadata" }],
};

interface AuditEvent {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource: string };
}

/** @returns a row of the document's table, and for a reader the requests of a node by verb and resource. */
export async function nodesRow(
  server: string,
  nodes: number,
  { flags: more = [], ...options }: ServerOptions,
): Promise<{ readonly row: string; readonly requests: string }> {
  const folder = mkdtempSync(join(tmpdir(), "tortie-bench-audit-"));
  const [policy, log] = [join(folder, "policy.yaml"), join(folder, "audit.log")];
  writeFileSync(policy, JSON.stringify(auditPolicy));
  const flags = [`--audit-policy-file=${policy}`, `--audit-log-path=${log}`, ...more];
  const apiserver = await KubeApiServer.start(server, { ...options, flags });
  try {
    await apiserver.installCrds("crd.projectcalico.org");
    await registerNodes(apiserver, nodes + 1);
    // One before the others: the cluster's default objects are made by the first.
    startNodes(apiserver, { first: 0, count: 1 });
    const before = readFileSync(log).length;
    const { inSyncMs } = startNodes(apiserver, { first: 1, count: nodes });
    const lines = readFileSync(log).subarray(before).toString().split("\n");
    const events = lines
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as AuditEvent);
    const asked = events.filter(({ user }) => user.username === "admin");
    const each = asked.length / nodes;
    const reached = each <= mustRequest && inSyncMs <= mustTakeMs ? "reached" : "missed";
    const measured = `${each.toFixed(1)} requests each; in sync after ${(inSyncMs / 1000).toFixed(1)} s`;
    const row = `| ${nodes} nodes start at once | ${measured} | <= ${mustRequest}; <= ${mustTakeMs / 1000} s | ${reached} |`;
    return { row, requests: byKind(asked, nodes) };
  } finally {
    await apiserver.remove();
    rmSync(folder, { recursive: true });
  }
}

async function registerNodes(server: KubeApiServer, count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `node-${index}`);
  const node = (name: string) => ({ apiVersion: "v1", kind: "Node", metadata: { name } });
  await Promise.all(names.map((name) => server.must("POST", "/api/v1/nodes", node(name))));
}

function startNodes(
  server: KubeApiServer,
  { first, count }: { readonly first: number; readonly count: number },
): { readonly inSyncMs: number } {
  // Two hundred nodes' young objects are more than one node's, for which bin/tortie sets this.
  const args = [
    "--max-semi-space-size=64",
    program,
    server.kubeconfig(),
    String(first),
    String(count),
  ];
  const { stdout, status } = spawnSync(process.execPath, args, {
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) throw new Error(`${program} ended with ${status}`);
  return JSON.parse(stdout.toString()) as { readonly inSyncMs: number };
}

function byKind(events: readonly AuditEvent[], nodes: number): string {
  const counts = new Map<string, number>();
  for (const { verb, objectRef } of events) {
    const name = `${verb} ${objectRef?.resource ?? "(no object)"}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${(count / nodes).toFixed(2)} ${name}`)
    .join("\n");
}
