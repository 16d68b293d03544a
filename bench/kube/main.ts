import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findNewEtcd } from "../../test/support/etcd/program.ts";
import { findKubeApiServer } from "../../test/support/kube-apiserver/program.ts";
import {
  KubeApiServer,
  type ServerOptions,
  withWatchList,
} from "../../test/support/kube-apiserver.ts";
import { namespaceNames, realisticPod } from "./realistic-pods.ts";

/**
 * `npm run bench:kube`: the memory of a process that follows 10,000 pods of a real kube-apiserver, over that of
 * an empty process. Node runs as bin/tortie runs it.
 *
 * Usage: node bench/kube/main.ts [--quick] [--write-doc]
 */

interface Figures {
  readonly rssMb: number;
  readonly peakMb: number;
  readonly inSyncMs: number;
}

const pods = process.argv.includes("--quick") ? 2_000 : 10_000;
const runs = 3;
const mustReachMb = 60;
const etcd = findNewEtcd();
if ("missing" in etcd) throw new Error(etcd.missing);
const servers: Readonly<Record<string, ServerOptions>> = {
  pages: {},
  "watch list": { flags: withWatchList, etcd: etcd.path },
};
const follower = fileURLToPath(new URL("follow-pods.ts", import.meta.url));
const compiled = join(tmpdir(), `tortie-bench-kube-${process.pid}`);

const found = findKubeApiServer();
if ("missing" in found) throw new Error(found.missing);
const rows: string[] = [];
try {
  for (const [way, options] of Object.entries(servers)) {
    const server = await KubeApiServer.start(found.path, options);
    try {
      await putPods(server);
      // The first run fills the compile cache.
      follow(server);
      rows.push(rowOf(way, server));
    } finally {
      await server.remove();
    }
    console.log(rows.at(-1));
  }
} finally {
  rmSync(compiled, { recursive: true, force: true });
}
if (process.argv.includes("--write-doc")) {
  writeFileSync(fileURLToPath(new URL("../../docs/bench/kube.md", import.meta.url)), document());
}

async function putPods(server: KubeApiServer): Promise<void> {
  await server.createNamespaces(...namespaceNames());
  const values = Array.from({ length: pods }, (_, index): [string, string] => {
    const pod = realisticPod(index);
    const { namespace, name } = pod.metadata;
    return [`/registry/pods/${namespace}/${name}`, JSON.stringify(pod)];
  });
  await server.etcd.put(new Map(values));
}

function rowOf(way: string, server: KubeApiServer): string {
  const following = Array.from({ length: runs }, () => follow(server));
  const empty = Array.from({ length: runs }, () => follow(undefined));
  const median = (figures: readonly Figures[], field: keyof Figures) =>
    figures.map((one) => one[field]).toSorted((a, b) => a - b)[Math.floor(runs / 2)] ?? 0;
  const over = median(following, "rssMb") - median(empty, "rssMb");
  const verdict = over <= mustReachMb ? "reached" : "missed";
  const cells = [
    `${pods.toLocaleString("en")} pods by ${way}`,
    `${over.toFixed(0)} MB (peak ${(median(following, "peakMb") - median(empty, "rssMb")).toFixed(0)})`,
    `<= ${mustReachMb} MB`,
    verdict,
    `${(median(following, "inSyncMs") / 1000).toFixed(1)} s`,
  ];
  return `| ${cells.join(" | ")} |`;
}

/** One process with the settings of bin/tortie; without a server, an empty one. */
function follow(server: KubeApiServer | undefined): Figures {
  const args = server === undefined ? [] : [server.kubeconfig(), String(pods)];
  const { stdout, status } = spawnSync(
    process.execPath,
    ["--max-semi-space-size=4", follower, ...args],
    {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, NODE_COMPILE_CACHE: compiled, MALLOC_MMAP_THRESHOLD_: "131072" },
    },
  );
  if (status !== 0) throw new Error(`${follower} ended with ${status}`);
  return JSON.parse(stdout.toString()) as Figures;
}

function document(): string {
  const podBytes = JSON.stringify(realisticPod(0)).length;
  const version = readFileSync("/proc/version", "utf8").split(" ")[2];
  return `# Kubernetes: how much memory

Written by \`node bench/kube/main.ts --write-doc\` (\`npm run bench:kube\` prints it). RSS of a process that follows all
pods with the syncer and keeps every endpoint, less the RSS of an empty process: libraries, our code, TLS and
garbage count. Median of ${runs} runs, after three idle seconds; Node ${process.versions.node} with the settings of bin/tortie, Linux ${version},
kube-apiserver 1.33 with etcd 3.4 (pages) and 3.5 (watch list) on loopback. A pod is ${podBytes} bytes of JSON, with managedFields. The time until in sync is mostly the server's.

| what | RSS over an empty process | must reach | | in sync after |
|---|---|---|---|---|
${rows.join("\n")}
`;
}
