import { setTimeout as delay } from "node:timers/promises";
import type { Datastore } from "../datastore/datastore.ts";
import type { IpFamily } from "../lib/ip-addr.ts";
import { readBgpPeers } from "./bgp-status.ts";
import { readCluster } from "./cluster-view.ts";
import { mustRun } from "./command-runner.ts";
import { netnsPath } from "./fabric.ts";
import type { LabNode, LabPlan, LabRequest } from "./lab-plan.ts";
import type { LabPaths } from "./lab-state.ts";

interface Lab {
  readonly plan: LabPlan;
  readonly request: LabRequest;
}

/** Until every BGP session is up and every node has a route to every other node's blocks. */
export async function converged(
  lab: Lab,
  paths: LabPaths,
  { datastore, timeoutMs }: { readonly datastore: Datastore; readonly timeoutMs: number },
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const missing = await whatIsMissing(lab, paths, datastore);
    if (missing === undefined) return;
    if (Date.now() > deadline) {
      throw new Error(`Not converged after ${timeoutMs / 1000} s: ${missing}`);
    }
    await delay(100);
  }
}

async function whatIsMissing(
  { plan, request }: Lab,
  paths: LabPaths,
  datastore: Datastore,
): Promise<string | undefined> {
  const { blocks } = await readCluster(datastore);
  for (const node of plan.nodes) {
    const peers = await readBgpPeers(paths.bgpSocket(node.name));
    const down = peers.find(({ state }) => state !== "Established");
    if (down !== undefined)
      return `${node.name}: BGP session with ${down.address} is ${down.state}`;
    if (peers.length < (plan.nodes.length - 1) * plan.families.length)
      return `${node.name}: BGP sessions are missing`;
    const routes = await routesOf(node, plan);
    const encrypted = request.wireguard ? await encryptedOf(node, plan) : undefined;
    for (const [owner, cidrs] of blocks) {
      if (owner === node.name) continue;
      const cidr = cidrs.find((block) => !routes.includes(`${block} via `));
      if (cidr !== undefined) return `${node.name}: no route to ${cidr} of ${owner}`;
      const plain = cidrs.find((block) => encrypted?.includes(`${block} `) === false);
      if (plain !== undefined) return `${node.name}: what goes to ${plain} is not encrypted`;
    }
  }
  return undefined;
}

async function routesOf({ netns }: LabNode, { families }: LabPlan): Promise<string> {
  const list = (family: IpFamily) =>
    mustRun("nsenter", [`--net=${netnsPath(netns)}`, "ip", `-${family}`, "route"]);
  return (await Promise.all(families.map(list))).join("");
}

/** What leads to WireGuard's devices. Felix makes the rules last: without them it is nothing. */
async function encryptedOf({ netns }: LabNode, { families }: LabPlan): Promise<string> {
  const ip = (...words: string[]) =>
    mustRun("nsenter", [`--net=${netnsPath(netns)}`, "ip", ...words]);
  const list = async (family: IpFamily) => {
    const rules = await ip(`-${family}`, "rule");
    if (!/^99:.* lookup \d+/m.test(rules)) return "";
    const routes = await ip(`-${family}`, "route", "show", "table", "all", "type", "unicast");
    return routes.match(/^.* dev (wireguard|wg-v6)\.cali .*$/gm)?.join("\n") ?? "";
  };
  return (await Promise.all(families.map(list))).join("\n");
}
