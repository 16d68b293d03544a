import { writeFileSync } from "node:fs";
import { arch, availableParallelism, cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { fiftyHostsEtcd, oneHostEmbedded, oneHostEtcd } from "./assign-rows.ts";
import { firstBlocksEtcd } from "./claim-row.ts";
import { pluginRow } from "./plugin-row.ts";
import type { Row } from "./row.ts";
import { syncerRow } from "./syncer-row.ts";

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
  () => syncerRow("kube-apiserver", objects),
  pluginRow,
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
loopback, without fsync. The 50 hosts that claim at once run in a process for each core, with a connection each;
a claim alone is one of a connection in use. The plugins are run by a shell, 100 in a row, in turn.

| work | measured | must reach | |
|---|---|---|---|
${lines.join("\n")}

What profiles say. Embedded: handle and block are one transaction of SQLite. The rest is four reads, the block's JSON
of up to 11 KB and the values made of it. etcd: an address is two transactions, of which the first also reads pools,
reservations, the configuration and the node; a call of gRPC in Node costs more processor time than what it asks for.
First blocks: of 71 blocks tried 21 were lost to another host, in a pool of 64; what is left is the clients'
processor time, for 50 claims 66 times that of one, since each lists the blocks that are there.
`;
}
