import { readBgpPeers } from "./bgp-status.ts";
import { readCluster } from "./cluster-view.ts";
import { nodeProcesses } from "./daemons.ts";
import { withDatastore } from "./lab.ts";
import { planLab } from "./lab-plan.ts";
import { labPaths, readPods, requireState } from "./lab-state.ts";

/** What `lab status --json` prints: the shape is a contract. */
export interface LabStatus {
  readonly router: string;
  readonly nodes: readonly {
    readonly name: string;
    readonly netns: string;
    /** The first of `addresses`. */
    readonly address: string;
    readonly addresses: readonly string[];
    readonly segment: number;
    readonly blocks: readonly string[];
    readonly peers: readonly { readonly address: string; readonly state: string }[];
    readonly pids: {
      readonly node: number | null;
      readonly felix: number | null;
      readonly bgp: number | null;
    };
  }[];
  readonly pods: readonly {
    readonly name: string;
    readonly namespace: string;
    readonly node: string;
    readonly netns: string;
    readonly addresses: readonly string[];
    readonly labels: Readonly<Record<string, string>>;
    readonly ports: readonly {
      readonly name: string;
      readonly port: number;
      readonly protocol: string;
    }[];
  }[];
}

/** @throws {InputError} when there is no such lab. */
export async function labStatus(name: string): Promise<LabStatus> {
  const paths = labPaths(name);
  const state = requireState(name, paths);
  const plan = planLab(state.request);
  const { blocks } = await withDatastore(state, paths, readCluster);
  const nodes = await Promise.all(
    plan.nodes.map(async ({ name: node, netns, addresses, segment }) => {
      const processes = nodeProcesses(paths.runFolder(node));
      return {
        name: node,
        netns,
        address: addresses[0] ?? "",
        addresses,
        segment,
        blocks: blocks.get(node) ?? [],
        peers: await readBgpPeers(paths.bgpSocket(node)),
        pids: {
          node: processes.node?.pid ?? null,
          felix: processes.felix?.pid ?? null,
          bgp: processes.bgp?.pid ?? null,
        },
      };
    }),
  );
  const pods = readPods(paths).map(({ containerId: _id, ...pod }) => pod);
  return { router: plan.router, nodes, pods };
}

/** For people: nodes, then pods, in columns. */
export function statusText(status: LabStatus): string {
  const nodes = status.nodes.map(({ name, netns, addresses, segment, blocks, peers, pids }) => [
    name,
    netns,
    addresses.join(","),
    String(segment),
    blocks.join(","),
    `${peers.filter(({ state }) => state === "Established").length}/${peers.length}`,
    [pids.node, pids.felix, pids.bgp].map((pid) => pid ?? "-").join(" "),
  ]);
  const pods = status.pods.map(({ name, namespace, node, netns, addresses, labels, ports }) => [
    `${node}/${namespace === "default" ? "" : `${namespace}/`}${name}`,
    netns,
    addresses.join(","),
    Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    ports.map((port) => `${port.name}=${port.port}/${port.protocol}`).join(","),
  ]);
  return [
    columns([["NODE", "NETNS", "ADDRESSES", "SEGMENT", "BLOCKS", "PEERS UP", "PIDS"], ...nodes]),
    columns([["POD", "NETNS", "ADDRESSES", "LABELS", "PORTS"], ...pods]),
    `router: ${status.router}\n`,
  ].join("\n");
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("   ")
        .trimEnd(),
    )
    .join("\n")
    .concat("\n");
}
