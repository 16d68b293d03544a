import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { machineText, type Row, rowsOf, tableText } from "../row.ts";
import { fiftyHostsEtcd, oneHostEmbedded, oneHostEtcd } from "./assign-rows.ts";
import { firstBlocksEtcd } from "./claim-row.ts";
import { pluginRow } from "./plugin-row.ts";
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

const rows = await rowsOf(benches);
if (process.argv.includes("--write-doc")) {
  writeFileSync(fileURLToPath(new URL("../../docs/bench/ipam.md", import.meta.url)), document());
}
process.exit(0);

function document(): string {
  return `# IPAM: how fast

Written by \`node bench/ipam/main.ts --write-doc\` (\`npm run bench:ipam\` prints it). Medians of one run on
${machineText()}:
on a machine with other work, times are longer, and ratios are what to look at. The etcd is Debian's, on
loopback, without fsync. The 50 hosts that claim at once run in a process for each core, with a connection each that
was used once, five times in new pools; a claim alone is one of the same processes and a connection like theirs, between
these times. The plugins are run by a shell, 100 in a row, in turn.

${tableText(rows)}

The verdict of the first row is that of the faster of its two figures: calls of one host that are under way at once, as
when it starts many pods, share one write of their block; one at a time, each is a write of its own. Both are by medians,
of calls and of bursts: the claim of a new block, each 64 addresses, and a checkpoint of SQLite are in few of them.

What was measured beside the table, on the same 4 cores under a load of 10 to 25, which makes all of it longer.
Embedded, one at a time, medians of the parts of a call of 320 us: 41 us what the choice goes by, 57 us the texts of
handle and block, 115 us their transaction, of which its commit is 47 us. First blocks: a claim alone is four calls of
etcd and 5 to 9 ms of processor time, most of it in gRPC and etcd3, so that 50 on 4 cores cannot take less than some 15
times one. Of 73 blocks that 50 hosts tried, in a pool of 64, 23 were another host's; each costs one call more. (In earlier
tables, where the claim alone was one of a process and connection that had made 15 of them, this row said 33 to 36 x.)
`;
}
