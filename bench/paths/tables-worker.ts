import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keyOf } from "../../src/api/resource-key.ts";
import type { IPAMBlock } from "../../src/api/resources/ipam.ts";
import type { Node } from "../../src/api/resources/node.ts";
import { felixConfig } from "../../src/felix/config/felix-config.ts";
import { KernelLinks } from "../../src/felix/dataplane/kernel-links.ts";
import { KernelState } from "../../src/felix/dataplane/kernel-state.ts";
import { detectBackend } from "../../src/kernel/iptables/backend.ts";
import type { KernelRoute } from "../../src/kernel/kernel.ts";
import { openLinuxKernel } from "../../src/kernel/linux-kernel.ts";
import { mainTable, routeProtocol } from "../../src/kernel/ownership.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { ipv4FromBits } from "../../src/lib/ip-addr.ts";
import { prefixOf } from "../../src/lib/prefix.ts";
import { block, node, pool } from "../../test/states/resources.ts";
import { BenchNode } from "../felix/bench-node.ts";
import { RecordedExec } from "../felix/recorded-exec.ts";
import { median, timed } from "../row.ts";
import { BareWriter } from "./bare-writer.ts";

/** Measures routes, neighbors and forwarding entries in the namespace it was started in. Prints TableFigures. */

/** Medians in milliseconds. */
export interface TableFigures {
  readonly routesMs: number;
  /** The same routes by a writer that does nothing else. */
  readonly bareMs: number;
  readonly deathMs: number;
  readonly vtepsMs: number;
}

const [runs = 5] = process.argv.slice(2).map(Number);
const blocks = 10_000;
const otherNodes = 1000;
const blocksOfTheDead = 20;
const firstBlock = 10 * 2 ** 24;
const firstNode = 172 * 2 ** 24 + 16 * 2 ** 16;

execFileSync("ip", ["-batch", "-"], {
  input: [
    "link set lo up",
    "link add eth0 type veth peer name far",
    "address add 172.16.255.254/12 dev eth0",
    "link set far up",
    "link set eth0 up",
  ].join("\n"),
});
const { routesMs, bareMs } = await routeFigures();
const { deathMs, vtepsMs } = await nodeFigures();
const figures: TableFigures = { routesMs, bareMs, deathMs, vtepsMs };
console.log(JSON.stringify(figures));

async function routeFigures(): Promise<Pick<TableFigures, "routesMs" | "bareMs">> {
  const kernel = openLinuxKernel();
  const ifindex = (await kernel.links.get("eth0"))?.ifindex ?? 0;
  const routes = Array.from({ length: blocks }, (_, index) => routeTo(index, ifindex));
  const bareWriter = new BareWriter();
  const [whole, bare]: [number[], number[]] = [[], []];
  for (let run = 0; run < runs; run++) {
    const links = new KernelLinks(kernel.links, systemClock);
    await links.refresh();
    const state = new KernelState({ kernel, clock: systemClock }, links, felixConfig({ env: {} }));
    const nothing = { routes: [], neighbors: [], fdbEntries: [] };
    await state.apply(nothing);
    whole.push(await timed(() => state.apply({ ...nothing, routes })));
    await state.apply(nothing);
    bare.push(await timed(async () => bareWriter.replace(routes)));
    if ((await kernel.routes.list({ protocol: routeProtocol.felix })).length !== blocks) {
      throw new Error("Cannot compare: the bare writer's routes are not there");
    }
    await kernel.routes.remove(routes);
  }
  bareWriter.close();
  kernel.close();
  return { routesMs: median(whole), bareMs: median(bare) };
}

function routeTo(index: number, ifindex: number): KernelRoute {
  return {
    table: mainTable,
    destination: blockOf(index),
    priority: 0,
    kind: "unicast",
    scope: "universe",
    onlink: true,
    gateway: ipv4FromBits(firstNode + 1 + (index % otherNodes)),
    ifindex,
    protocol: routeProtocol.felix,
  };
}

function blockOf(index: number) {
  return prefixOf(ipv4FromBits(firstBlock + index * 64), 26);
}

/** The last of the others dies, with its blocks. */
async function nodeFigures(): Promise<Pick<TableFigures, "deathMs" | "vtepsMs">> {
  const folder = mkdtempSync(join(tmpdir(), "tortie-bench-"));
  const exec = new RecordedExec();
  const backend = await detectBackend(exec, "nft");
  const me = {
    ...node("node-a", "172.16.255.254/12"),
    ...tunnelSpec("172.16.255.254/12", otherNodes),
  };
  const mode = pool("default", "10.0.0.0/8", { vxlanMode: "Always" });
  const [deaths, vteps]: [number[], number[]] = [[], []];
  for (let run = 0; run < runs; run++) {
    const bench = new BenchNode([me, mode], { exec, backend, folder });
    await bench.firstApply();
    await exec.idle();
    vteps.push(await untilKernelHas(otherNodes, () => addNodes(bench)));
    await exec.idle();
    const dead = Array.from({ length: blocksOfTheDead }, (_, index) =>
      ownedBlock(otherNodes + 1 + index, "node-0"),
    );
    await untilKernelHas(otherNodes + blocksOfTheDead, () => create(bench, dead));
    await exec.idle();
    deaths.push(
      await untilKernelHas(otherNodes, async () => {
        for (const each of dead) await bench.datastore.delete(keyOf(each));
      }),
    );
    await bench.stop();
    execFileSync("ip", ["link", "delete", "vxlan.calico"]);
  }
  exec.close();
  rmSync(folder, { recursive: true });
  return { deathMs: median(deaths), vtepsMs: median(vteps) };
}

function tunnelSpec(address: string, index: number): Pick<Node, "spec"> {
  const spec = { bgp: { ipv4Address: address }, ipv4VXLANTunnelAddr: tunnelAddress(index) };
  return { spec };
}

/** In the node's first block. */
function tunnelAddress(index: number): string {
  return ipv4FromBits(firstBlock + index * 64);
}

function ownedBlock(index: number, owner: string): IPAMBlock {
  return block(blockOf(index), owner, { 0: owner });
}

async function addNodes(bench: BenchNode): Promise<void> {
  const nodes = Array.from({ length: otherNodes }, (_, index) => {
    const address = `${ipv4FromBits(firstNode + 1 + index)}/12`;
    return { ...node(`node-${index}`, address), ...tunnelSpec(address, index) };
  });
  const owned = nodes.map(({ metadata }, index) => ownedBlock(index, metadata.name));
  await create(bench, [...nodes, ...owned]);
}

async function create(bench: BenchNode, resources: readonly (Node | IPAMBlock)[]): Promise<void> {
  for (const resource of resources) await bench.datastore.create(resource as never);
}

/** Milliseconds from the first event until so many blocks have a route through the tunnel. */
async function untilKernelHas(routes: number, change: () => Promise<void>): Promise<number> {
  const kernel = openLinuxKernel();
  const stop = new AbortController();
  const present = new Set(
    (await kernel.routes.list({ table: mainTable })).filter(isTunneled).map((at) => at.destination),
  );
  const reached = Promise.withResolvers<void>();
  const watching = kernel.monitor((events) => {
    for (const event of events) {
      if (event.kind !== "route" || !isTunneled(event.route)) continue;
      if (event.op === "set") present.add(event.route.destination);
      else present.delete(event.route.destination);
    }
    if (present.size === routes) reached.resolve();
  }, stop.signal);
  try {
    return await timed(async () => {
      await change();
      await reached.promise;
    });
  } finally {
    stop.abort();
    await watching;
    kernel.close();
  }
}

function isTunneled({ kind, gateway, protocol }: KernelRoute): boolean {
  return kind === "unicast" && gateway !== undefined && protocol === routeProtocol.boot;
}
