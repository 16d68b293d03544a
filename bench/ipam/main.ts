import { writeFileSync } from "node:fs";
import { arch, availableParallelism, cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import {
  fiftyHostsEtcd,
  firstBlocksEtcd,
  oneHostEmbedded,
  oneHostEtcd,
  type Row,
  syncerRow,
} from "./rows.ts";

/**
 * `npm run bench:ipam`: IPAM's speed on this machine, medians.
 *
 * Usage: node bench/ipam/main.ts [--quick] [--write-doc]
 */

const objects = process.argv.includes("--quick") ? 5_000 : 50_000;
const benches: readonly (() => Promise<Row>)[] = [
  oneHostEmbedded,
  oneHostEtcd,
  fiftyHostsEtcd,
  firstBlocksEtcd,
  () => syncerRow("embedded", objects),
  () => syncerRow("etcd", objects),
];

const rows: Row[] = [];
for (const bench of benches) {
  const row = await bench();
  rows.push(row);
  console.log(`${verdict(row).padEnd(8)}${row.work}: ${row.measured} (${row.mustReach})`);
}
if (process.argv.includes("--write-doc")) {
  writeFileSync(fileURLToPath(new URL("../../docs/bench/ipam.md", import.meta.url)), document());
}
process.exit(0);

function verdict({ reached }: Row): string {
  if (reached === undefined) return "-";
  return reached ? "reached" : "missed";
}

function document(): string {
  const cpu = cpus()[0]?.model.trim() ?? arch();
  const lines = rows.map(
    (row) => `| ${row.work} | ${row.measured} | ${row.mustReach} | ${verdict(row)} |`,
  );
  return `# IPAM: how fast

Written by \`node bench/ipam/main.ts --write-doc\` (\`npm run bench:ipam\` prints it). Medians of one run on
${availableParallelism()} cores of ${cpu}, Node ${process.versions.node}, load average ${loadavg()[0]?.toFixed(1)} at its end:
on a machine with other work, times are longer, and ratios are what to look at. The etcd is Debian's, on
loopback, without fsync. Not measured yet: the kube-apiserver, and the host-local plugin beside ours.

| work | measured | must reach | |
|---|---|---|---|
${lines.join("\n")}
`;
}
