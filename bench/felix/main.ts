import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { machineText, type Row, rowsOf, tableText } from "../row.ts";
import { bigClusterRow } from "./big-cluster-row.ts";
import { graphRow, labelChangeRow, millionMembersRow, networkSetsRow } from "./calc-rows.ts";
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
  graphRow,
  networkSetsRow,
  labelChangeRow,
  millionMembersRow,
];

const rows = await rowsOf(benches);
if (process.argv.includes("--write-doc")) {
  writeFileSync(fileURLToPath(new URL("../../docs/bench/felix.md", import.meta.url)), document());
}

function document(): string {
  return `# felix: how fast

Written by \`node bench/felix/main.ts --write-doc\` (\`npm run bench:felix\` prints it). Medians of one run on
${machineText()}.

${tableText(rows)}
`;
}
