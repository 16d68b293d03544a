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
loopback, without fsync. The 50 hosts that claim at once run in a process for each core, with a connection each;
a claim alone is one of a connection in use. The plugins are run by a shell, 100 in a row, in turn.

${tableText(rows)}

The verdict of the first row is that of the faster of its two figures: calls of one host that are under way at once, as
when it starts many pods, share one write of their block; one at a time, each is a write of its own. Both are by medians,
of calls and of bursts: the claim of a new block, each 64 addresses, and a checkpoint of SQLite are in few of them.

What was measured beside the table, on the same 4 cores under a load of 10 to 25, which makes all of it longer.
Embedded, one at a time, medians of the parts of a call of 320 us: 41 us what the choice goes by, 57 us the texts of
handle and block, 115 us their transaction, of which its commit is 47 us. First blocks: a claim alone is four calls of
etcd and 9 to 18 ms of this process' processor time, most of it in gRPC and etcd3; 12 or 13 claims at once took each of the
four processes 90 to 230 ms of it (170 to 290 ms when a claim was seven calls). Of 73 blocks that 50 hosts tried, in a
pool of 64, 23 were another host's; each costs one call more.
`;
}
