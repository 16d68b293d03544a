import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { machineText, type Row, rowsOf, tableText } from "../row.ts";
import { bigClusterRow } from "./big-cluster-row.ts";
import { calcRows } from "./calc-rows.ts";
import { planeRows } from "./plane-rows.ts";
import { policyReadyRow } from "./policy-ready-row.ts";

/**
 * `npm run bench:felix`: felix' speed on this machine, as root. Each row is made in network namespaces of
 * its own.
 *
 * Usage: node bench/felix/main.ts [--quick] [--write-doc]
 */

const quick = process.argv.includes("--quick");
const benches: readonly (() => Promise<Row>)[] = [
  ...planeRows("nft", { quick }),
  ...planeRows("legacy", { quick }),
  () => policyReadyRow("nft", { quick }),
  () => policyReadyRow("legacy", { quick }),
  bigClusterRow,
  ...calcRows({ quick }),
];

const rows = await rowsOf(benches);
if (process.argv.includes("--write-doc")) {
  writeFileSync(fileURLToPath(new URL("../../docs/bench/felix.md", import.meta.url)), document());
}

function document(): string {
  return `# felix: how fast

Written by \`node bench/felix/main.ts --write-doc\` (\`npm run bench:felix\` prints it; \`--quick\` takes fewer runs).
Medians of one run on ${machineText()}.
On a machine with other work times are longer, and of a ratio the side that computes more suffers more.

${tableText(rows)}

The dataplane's rows: one process and one network namespace for each backend. The node has 200 pods, the cluster 1,000
more, and 1,000 policies that all are in use, five a pod. A policy has five ingress rules, which are ten rules of
iptables: three from \`team in {'all', 'tN'}\` each, 100 different selectors in all, two from anywhere; both
families. "By hand" are the very saves and restores that the run made, one save a table, run by \`sh\` in the same
namespace right after it, families and tables at once. With nft the floor of a change has no save: the generation of
nf_tables says whether anybody else wrote. "First apply" is from the datastore in sync to the last rule, route, set and
status file; a change is from the datastore's event to the end of the last restore; a join of 100 sets from the
event to the end of the apply. Pods are added by the shim and the real agent; another pod tries to reach port 80 of each
every 2 ms from the moment the plugin answers.

What was measured beside the table, on the same 4 cores under a load of 10 from elsewhere, medians of 40. A change with
nft: 14 ms from the event to the first restore, 58 ms both restores, 3 ms after them; before tables were remembered,
58, 58 and 13 ms, and two saves of 200 ms and more each. A join of 100 sets: 4.3 ms, before they went in one exchange
53 ms. Of felix' processor time in a first apply two thirds are rendering, and half of that is the hashes of rules.
`;
}
