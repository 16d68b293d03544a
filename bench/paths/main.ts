import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { machineText, rowsOf, tableText } from "../row.ts";
import { pathRows } from "./path-rows.ts";
import { tableRows } from "./table-rows.ts";

/**
 * `npm run bench:paths`: how fast packets go between nodes, and how fast the kernel learns the ways. As
 * root, in network namespaces of its own.
 *
 * Usage: node bench/paths/main.ts [--quick] [--write-doc]
 */

const quick = process.argv.includes("--quick");
const rows = await rowsOf([...pathRows({ quick }), ...tableRows({ quick })]);
if (process.argv.includes("--write-doc")) {
  writeFileSync(fileURLToPath(new URL("../../docs/bench/paths.md", import.meta.url)), document());
}

function document(): string {
  return `# Between nodes: how fast

Written by \`node bench/paths/main.ts --write-doc\` (\`npm run bench:paths\` prints it; \`--quick\` takes fewer runs).
Medians of one run on ${machineText()}.
On a machine with other work throughput is lower and times are longer: ratios are what to look at.

${tableText(rows)}

A path is from a pod of one node to a pod of another, in a lab of two nodes (\`tortie lab up\`). "By hand" is a copy of
that lab, without tortie: the same wires, addresses, MTUs, devices, routes, neighbors and forwarding entries made with
iproute2, and what \`iptables-save\` and \`ipset save\` of the lab's nodes print, restored. iperf3 with one TCP stream for 5 s, then 2,000
pings, 2 ms apart; lab and copy in turn, five times. A ratio is the median of the five rounds' ratios. All packets go by the one machine's processors: the figures say what
tortie's ways cost, not what a network card does.

The tables are felix' of one node, whose other nodes are told by a datastore in memory. The bare writer puts the
same routes into rtnetlink messages, sends 128 at a time, waits for one answer each time and does nothing else: no
list, no plan, no look at what failed, and its process stands still meanwhile. From the event to the kernel means: from
the first object's deletion or creation in the datastore until the kernel has told of the last route, with felix'
calculation, rules and everything else that it does between.
`;
}
