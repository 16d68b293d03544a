import { existsSync, readdirSync } from "node:fs";
import { mustRun } from "./command-runner.ts";
import { type LabNode, type LabPlan, segmentPrefixLength } from "./lab-plan.ts";

/**
 * The wires of a lab: a router namespace with a bridge a segment, and a namespace a node whose eth0
 * is plugged into one. Nothing is made in the caller's namespace but names under /run/netns.
 */

const netnsFolder = "/run/netns";

export async function createFabric(plan: LabPlan): Promise<void> {
  await mustRun("ip", ["netns", "add", plan.router]);
  await batch(plan.router, routerCommands(plan));
  await enableForwarding(plan.router);
  for (const node of plan.nodes) {
    await mustRun("ip", ["netns", "add", node.netns]);
    await plugNode(plan, node);
  }
}

function routerCommands(plan: LabPlan): string[] {
  return [
    "link set lo up",
    `address add ${plan.outsideAddress}/32 dev lo`,
    ...plan.segments.flatMap(({ bridge, routerAddress }) => [
      `link add ${bridge} type bridge`,
      `address add ${routerAddress}/${segmentPrefixLength} dev ${bridge}`,
      `link set ${bridge} up`,
    ]),
  ];
}

/** Wires a node's namespace, which is there and empty. */
export async function plugNode(plan: LabPlan, node: LabNode): Promise<void> {
  const segment = plan.segments[node.segment - 1];
  if (segment === undefined) throw new Error(`Cannot find segment ${node.segment}`);
  await batch(plan.router, [
    `link add ${node.routerLink} type veth peer name eth0 netns ${node.netns}`,
    `link set ${node.routerLink} master ${segment.bridge} up`,
  ]);
  await batch(node.netns, [
    "link set lo up",
    `address add ${node.address}/${segmentPrefixLength} dev eth0`,
    "link set eth0 up",
    `route add default via ${segment.routerAddress}`,
  ]);
}

async function enableForwarding(netns: string): Promise<void> {
  await mustRun("nsenter", [
    `--net=${netnsPath(netns)}`,
    "sh",
    "-c",
    "echo 1 > /proc/sys/net/ipv4/ip_forward",
  ]);
}

async function batch(netns: string, commands: readonly string[]): Promise<void> {
  // Not `ip -n`: it changes mounts, which fails in a chroot.
  const args = [`--net=${netnsPath(netns)}`, "ip", "-batch", "-"];
  await mustRun("nsenter", args, { input: `${commands.join("\n")}\n` });
}

export function netnsPath(netns: string): string {
  return `${netnsFolder}/${netns}`;
}

export function netnsExists(netns: string): boolean {
  return existsSync(netnsPath(netns));
}

export async function addNetns(netns: string): Promise<void> {
  await mustRun("ip", ["netns", "add", netns]);
}

/** A namespace that is gone already is no error. */
export async function removeNetns(netns: string): Promise<void> {
  if (netnsExists(netns)) await mustRun("ip", ["netns", "delete", netns]);
}

/** Namespaces of pods on one node, by prefix: what a crash left behind is found too. */
export function netnsWithPrefix(prefix: string): string[] {
  if (!existsSync(netnsFolder)) return [];
  return readdirSync(netnsFolder).filter((name) => name.startsWith(prefix));
}
