import { existsSync, readdirSync } from "node:fs";
import { addressBits, type IpAddr, ipFamily } from "../lib/ip-addr.ts";
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
  await enableForwarding(plan);
  for (const node of plan.nodes) {
    await mustRun("ip", ["netns", "add", node.netns]);
    await plugNode(plan, node);
  }
}

function routerCommands(plan: LabPlan): string[] {
  return [
    "link set lo up",
    ...plan.outsideAddresses.map((address) => addAddress(address, "lo", addressBits)),
    ...plan.segments.flatMap(({ bridge, routerAddresses }) => [
      `link add ${bridge} type bridge`,
      ...routerAddresses.map((address) => addAddress(address, bridge, segmentPrefixLength)),
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
    ...node.addresses.map((address) => addAddress(address, "eth0", segmentPrefixLength)),
    "link set eth0 up",
    ...segment.routerAddresses.map((address) => `route add default via ${address}`),
  ]);
}

/** Without duplicate address detection: an IPv6 address works at once. */
function addAddress(
  address: IpAddr,
  link: string,
  lengths: Readonly<Record<4 | 6, number>>,
): string {
  const family = ipFamily(address);
  return `address add ${address}/${lengths[family]} dev ${link}${family === 6 ? " nodad" : ""}`;
}

async function enableForwarding({ router, families }: LabPlan): Promise<void> {
  const switches = { 4: "ipv4/ip_forward", 6: "ipv6/conf/all/forwarding" };
  const writes = families.map((family) => `echo 1 > /proc/sys/net/${switches[family]}`);
  await mustRun("nsenter", [`--net=${netnsPath(router)}`, "sh", "-c", writes.join(" && ")]);
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
