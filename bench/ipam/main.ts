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

What was measured beside the table, on the same 4 cores under a load of 10 to 20, which makes all of it longer.
Embedded, medians of the parts of a call of 410 us: 120 us all before the write, of which the one read of the database
is 11 us; 75 us the texts of handle and block; 125 us their transaction. The same statements with values
of the same size and nothing else take 116 us; without the copy of the value for watchers they would take 96 us.
First blocks: a claim alone is seven calls of etcd and some 20 ms of this process' processor time, of which 4 ms
are the values of the 70 blocks and affinities listed: on 4 cores 50 of them take 250 ms, without what etcd takes. Of
73 blocks that 50 hosts tried, in a pool of 64, 23 were another host's; each costs three or four calls more.
`;
}
