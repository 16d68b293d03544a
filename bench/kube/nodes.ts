import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { findNewEtcd } from "../../test/support/etcd/program.ts";
import { findKubeApiServer } from "../../test/support/kube-apiserver/program.ts";
import { type ServerOptions, withWatchList } from "../../test/support/kube-apiserver.ts";
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
const etcd = findNewEtcd();
if ("missing" in etcd) throw new Error(etcd.missing);
const servers: Readonly<Record<string, ServerOptions>> = {
  "lists that are watches": { flags: withWatchList, etcd: etcd.path },
  pages: {},
};
const rows: string[] = [];
const requests: string[] = [];
for (const [way, options] of Object.entries(servers)) {
  const measured = await nodesRow(found.path, nodes, options);
  rows.push(`| by ${way} ${measured.row}`);
  requests.push(`By ${way}:\n\n\`\`\`\n${measured.requests}\n\`\`\`\n`);
  console.log(`${rows.at(-1)}\n${measured.requests}`);
}
if (process.argv.includes("--write-doc")) {
  const file = fileURLToPath(new URL("../../docs/bench/kube-nodes.md", import.meta.url));
  writeFileSync(file, document());
}

function document(): string {
  return `# Kubernetes: what the start of nodes asks of the API server

Written by \`node bench/kube/nodes.ts --write-doc\` (\`npm run bench:kube\` prints it). All nodes start at once in one
process, each with the start-up of \`tortie node\` and the syncers of \`tortie node\`, \`felix\` and \`bgp\`, which share
what all three follow as the three processes do; only the kernel is made up. kube-apiserver 1.33 on loopback of the same
machine (${machineText()}); its audit log counts every request, a watch as one. Lists that are
watches need WatchList, which Kubernetes has by default from 1.34 on (here it is switched on), and etcd 3.4.25 or later
(here 3.5); without them a list is paged and a watch follows it (etcd 3.4).

| how lists come | what | measured | must reach | |
|---|---|---|---|---|
${rows.join("\n")}

Requests of one node, by verb and kind. ${requests.join("\n")}`;
}
