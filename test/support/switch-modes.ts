import assert from "node:assert/strict";
import type { Encapsulation } from "../../src/lab/lab-plan.ts";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { poolModes } from "../../src/lab/node-environment.ts";
import type { IpFamily } from "../../src/lib/ip-addr.ts";
import type { TestLab } from "./lab.ts";
import { SteadyPing } from "./steady-ping.ts";
import { waitFor } from "./wait-for.ts";

type LabNode = LabStatus["nodes"][number];

/** Guards the second pods: nobody may reach them, and they may reach nobody. */
export const guard = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: guard, namespace: default}
spec: {podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress, Egress]}
`;

/** How node `from` must send to the block of node `to`, as `ip route` tells it. */
export function routePattern(
  mode: Encapsulation,
  from: LabNode,
  to: LabNode,
  family: IpFamily = 4,
): RegExp {
  const ofFamily = (texts: readonly string[]) =>
    texts.find((text) => text.includes(":") === (family === 6)) ?? "";
  const [block, address] = [ofFamily(to.blocks), ofFamily(to.addresses)];
  const route = (rest: string) => new RegExp(`^${block} ${rest}`, "m");
  if (mode === "None" || (mode.startsWith("IPIP") && family === 6)) {
    return route("via \\S+ dev eth0 proto bird");
  }
  if (mode.endsWith("CrossSubnet") && from.segment === to.segment) {
    return route(`via ${address} dev eth0 proto 80 (metric \\d+ )?onlink`);
  }
  return mode.startsWith("VXLAN")
    ? route(`via \\S+ dev vxlan${family === 6 ? "-v6" : ""}\\.calico (metric \\d+ )?onlink`)
    : route(`via ${address} dev tunl0 proto 80 onlink`);
}

/** Changes how the packets of the lab's pools are carried, and waits until every node does so. */
export async function switchMode(lab: TestLab, mode: Encapsulation): Promise<void> {
  const { nodes } = await lab.status();
  for (const family of familiesOf(nodes)) {
    const { ipipMode: _ipip, ...ofIpv6 } = poolModes[mode];
    const patch = JSON.stringify({ spec: family === 4 ? poolModes[mode] : ofIpv6 });
    const pool = [`default-ipv${family}-ippool`, "-p", patch];
    const { code, stderr } = await lab.cli(["patch", "ippool", ...pool]);
    assert.equal(code, 0, stderr);
  }
  for (const from of nodes) {
    for (const family of familiesOf(nodes)) {
      const routes = () => lab.inside(from.netns, "ip", `-${family}`, "route");
      await waitFor(async () => hasSwitched({ mode, from, nodes, family }, await routes()), {
        timeoutMs: 60_000,
        what: `${from.name} to use ${mode} for IPv${family}`,
      });
    }
  }
}

function familiesOf([first]: readonly LabNode[]): IpFamily[] {
  return (first?.addresses ?? []).map((address) => (address.includes(":") ? 6 : 4));
}

/** Every block of others is reached as it must be, and in no other way. */
function hasSwitched(
  of: {
    readonly mode: Encapsulation;
    readonly from: LabNode;
    readonly nodes: readonly LabNode[];
    readonly family: IpFamily;
  },
  routes: string,
): boolean {
  const { mode, from, nodes, family } = of;
  return nodes
    .filter((to) => to !== from)
    .every((to) => {
      const block = to.blocks.find((cidr) => cidr.includes(":") === (family === 6));
      return (
        routePattern(mode, from, to, family).test(routes) &&
        routes.split("\n").filter((line) => line.startsWith(`${block} `)).length === 1
      );
    });
}

export interface SwitchReport {
  /** The longest time without an answer from a pod of the node to one of another, of either family, in ms. */
  readonly gapMs: Readonly<Record<string, number>>;
  /** Pings that policy forbids, and that were answered. */
  readonly forbidden: readonly string[];
}

/**
 * Runs `act` while the first pods of all nodes ping each other, and they the guarded second pods, and
 * those them.
 */
export async function underTraffic(
  status: LabStatus,
  act: () => Promise<void>,
): Promise<SwitchReport> {
  const pings = pingsBetween(status, "pod1", "pod1");
  const guarded = [
    ...pingsBetween(status, "pod1", "pod2"),
    ...pingsBetween(status, "pod2", "pod1"),
  ];
  try {
    await Promise.all(pings.map(({ ping }) => ping.answers()));
    await act();
    const gapMs: Record<string, number> = {};
    await Promise.all(
      pings.map(async ({ node, ping }) => {
        const gap = await ping.longestGapMs();
        gapMs[node] = Math.max(gapMs[node] ?? 0, gap);
      }),
    );
    const forbidden = guarded.filter(({ ping }) => ping.answerCount > 0);
    return { gapMs, forbidden: forbidden.map(({ ping }) => ping.what) };
  } finally {
    await Promise.all([...pings, ...guarded].map(({ ping }) => ping.stop()));
  }
}

function pingsBetween({ pods }: LabStatus, source: string, target: string) {
  const from = pods.filter(({ name }) => name === source);
  const to = pods.filter(({ name }) => name === target);
  return from.flatMap(({ node, netns }) =>
    to
      .filter((other) => other.node !== node)
      .flatMap((other) =>
        other.addresses.map((address) => ({
          node,
          ping: new SteadyPing(`${node}/${source} to ${other.node}/${target}`, netns, address),
        })),
      ),
  );
}
