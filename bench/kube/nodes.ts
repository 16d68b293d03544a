import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { findKubeApiServer } from "../../test/support/kube-apiserver/program.ts";
import { machineText } from "../row.ts";
import { nodesRow } from "./nodes-row.ts";

/**
 * `npm run bench:kube`, second part: how many requests a node's start is for the API server.
 *
 * Usage: node bench/kube/nodes.ts [--quick] [--write-doc]
 */

const nodes = process.argv.includes("--quick") ? 20 : 200;
const found = findKubeApiServer();
if ("missing" in found) throw new Error(found.missing);
const { row, requests } = await nodesRow(found.path, nodes);
console.log(`${row}\n${requests}`);
if (process.argv.includes("--write-doc")) {
  const file = fileURLToPath(new URL("../../docs/bench/kube-nodes.md", import.meta.url));
  writeFileSync(file, document());
}

function document(): string {
  return `# Kubernetes: what the start of nodes asks of the API server

Written by \`node bench/kube/nodes.ts --write-doc\` (\`npm run bench:kube\` prints it). All nodes start at once in one
process, each with the start-up of \`tortie node\` and the syncers of \`tortie node\`, \`felix\` and \`bgp\`, on three
connections as the three processes have them; only the kernel is made up. kube-apiserver 1.33 with etcd 3.4 on
loopback of the same machine (${machineText()}); its audit log counts every request, a watch as one.

| what | measured | must reach | |
|---|---|---|---|
${row}

Requests of one node, by verb and kind:

\`\`\`
${requests}
\`\`\`

A list and a watch of each of the 23 collections that a node follows are 46 by themselves: one connection of the
node for its three processes, and lists that come as watches, are what is missing.
`;
}
