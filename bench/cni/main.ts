import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { machineText, rowsOf, tableText } from "../row.ts";
import { addRows } from "./add-rows.ts";
import { memoryRow } from "./memory-row.ts";

/**
 * `npm run bench:cni`: how long a pod waits for its network on this machine, and what a node takes, as root.
 *
 * Usage: node bench/cni/main.ts [--quick] [--write-doc]
 */

const quick = process.argv.includes("--quick");
const rows = await rowsOf([
  ...addRows(quick ? { few: 10, many: 100, runs: 5, together: 20 } : undefined),
  () => memoryRow({ pods: 10, policies: 0, mustReachMb: 200 }),
  () =>
    memoryRow(
      quick
        ? { pods: 50, policies: 100, mustReachMb: 350 }
        : { pods: 500, policies: 1_000, mustReachMb: 350 },
    ),
]);
if (process.argv.includes("--write-doc")) {
  writeFileSync(fileURLToPath(new URL("../../docs/bench/cni.md", import.meta.url)), document());
}

function document(): string {
  return `# The CNI plugins: how fast

Written by \`node bench/cni/main.ts --write-doc\` (\`npm run bench:cni\` prints it; \`--quick\` takes fewer runs and pods).
Of one run on ${machineText()}.
With other work on the machine times are longer, and of a ratio the side that computes more suffers more.

${tableText(rows)}

One process is felix and the CNI agent, in a network namespace of its own, with an embedded datastore and the nft
variant of iptables. Each pod has ten policies and one profile. A bash starts the plugins and takes their time from
start to exit; each round calls Debian's \`ptp\` with \`host-local\`, the shim with the policy gate off, the TypeScript
plugin and the shim, each after felix has been quiet for 300 ms. "By hand" are the very restores that felix ran for
that ADD, run again by the same bash, both families at once, when the pod is deleted and felix has removed its chains:
so they add what the ADD added; with nft there is no save. \`ptp\` writes no policy. The
growth of a node with more pods is compared with that of what is done by hand. Memory is PSS, of \`tortie node\` and
all of its children, in a lab of one node.
`;
}
