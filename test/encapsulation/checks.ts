import assert from "node:assert/strict";
import type { IpFamily } from "../../src/lib/ip-addr.ts";
import { guard, routePattern } from "../support/switch-modes.ts";
import { waitFor } from "../support/wait-for.ts";
import { type MatrixLab, type MatrixNode, patienceMs } from "./matrix-lab.ts";
import {
  addressChanges,
  deviceComesBack,
  nodeLeavesAndJoins,
  nodeRestarts,
  tunnelDevices,
} from "./upheavals.ts";

/** One row of the table. Those that change the lab leave it as it must be. */
export interface Check {
  readonly title: string;
  /** Why there is nothing to check in this lab. */
  without?(lab: MatrixLab): string | undefined;
  run(lab: MatrixLab): Promise<void>;
}

/** Bytes that the outer headers take of the fabric's 1500 (facts 4.9). */
const overhead = { VXLAN: { 4: 50, 6: 70 }, IPIP: { 4: 20, 6: 0 } } as const;
const fabricMtu = 1500;
const [same, other] = [2, 3];

export const checks: readonly Check[] = [
  {
    title: "every pod and every node reach every pod: ICMP, TCP, UDP",
    run: (lab) => lab.converges(),
  },
  { title: "every pod reaches every node", run: podsReachNodes },
  { title: "route to the same segment", run: (lab) => routeIs(lab, same) },
  { title: "route to the other segment", run: (lab) => routeIs(lab, other) },
  { title: "on the wire within a segment", run: (lab) => wireIs(lab, same) },
  { title: "on the wire between segments", run: (lab) => wireIs(lab, other) },
  {
    title: "the largest packet passes with DF, a larger one gets its ICMP: same segment",
    run: (lab) => pathMtuIs(lab, same),
  },
  {
    title: "the largest packet passes with DF, a larger one gets its ICMP: other segment",
    run: (lab) => pathMtuIs(lab, other),
  },
  { title: "policy is enforced", run: policyHolds },
  { title: "NAT of what leaves the cluster, and none where the pool says so", run: natHolds },
  {
    title: "the tunnel's device comes back when somebody deletes it",
    without: (lab) => (tunnelDevices(lab).length === 0 ? "there is no tunnel" : undefined),
    run: deviceComesBack,
  },
  { title: "a node starts anew, with nothing left in its kernel", run: nodeRestarts },
  { title: "a node's address changes", run: addressChanges },
  { title: "a node leaves the cluster, and joins it", run: nodeLeavesAndJoins },
];

async function podsReachNodes(lab: MatrixLab): Promise<void> {
  for (const { netns } of lab.status.pods) {
    for (const node of lab.status.nodes) {
      for (const family of lab.families) await lab.ping({ netns }, lab.address(node, family));
    }
  }
}

async function routeIs(lab: MatrixLab, to: number): Promise<void> {
  for (const family of lab.families) {
    const routes = await lab.routes(lab.node(1), family);
    assert.match(routes, routePattern(lab.mode, lab.node(1), lab.node(to), family));
  }
}

async function wireIs(lab: MatrixLab, to: number): Promise<void> {
  const [from, target] = [lab.pod(1), lab.pod(to)];
  for (const family of lab.families) {
    const [own, address] = [lab.address(from, family), lab.address(target, family)];
    const three = async () => {
      await lab.inside(from, "ping", "-n", "-c3", "-i0.2", "-W2", address);
    };
    const plain = await lab.captured(`host ${own} and host ${address}`, three);
    const outer = await lab.captured(outerFilter(lab, to, family), three);
    const tunneled = lab.isTunneled(family, lab.node(1), lab.node(to));
    assert.equal(plain.length > 0, !tunneled, `plain: ${plain.join("\n")}`);
    assert.equal(outer.length > 0, tunneled, `outer: ${outer.join("\n")}`);
  }
}

function outerFilter(lab: MatrixLab, to: number, family: IpFamily): string {
  const [from, target] = [lab.node(1), lab.node(to)].map((node) => lab.address(node, family));
  const ipInIp = family === 4 ? "ip proto 4" : "(ip6 proto 4 or ip6 proto 41)";
  const header = lab.mode.startsWith("IPIP") ? ipInIp : "udp port 4789";
  return `${header} and host ${from} and host ${target}`;
}

/** Pods get a larger MTU meanwhile: what is too large for the path must get as far as the node. */
async function pathMtuIs(lab: MatrixLab, to: number): Promise<void> {
  const from = lab.pod(1);
  const before = await mtuOf(lab, from);
  await setMtu(lab, fabricMtu + 100);
  try {
    for (const family of lab.families) {
      const largest = pathMtu(lab, family, lab.node(to));
      assert.ok(before <= largest, `a pod's MTU is ${before}, the path's ${largest}`);
      const address = lab.address(lab.pod(to), family);
      const sized = (bytes: number) => {
        const payload = bytes - (family === 4 ? 28 : 48);
        return ["-M", "do", "-s", `${payload}`, address];
      };
      await lab.ping(from, ...sized(largest));
      const refused = await lab.ping(from, ...sized(largest + 1)).then(
        () => "nothing",
        (error: unknown) => String(error),
      );
      assert.match(refused, new RegExp(`mtu ?[=:] ?${largest}`, "i"));
    }
  } finally {
    await setMtu(lab, before);
  }
}

function pathMtu(lab: MatrixLab, family: IpFamily, to: MatrixNode): number {
  if (!lab.isTunneled(family, lab.node(1), to)) return fabricMtu;
  return fabricMtu - overhead[lab.mode.startsWith("IPIP") ? "IPIP" : "VXLAN"][family];
}

async function mtuOf(lab: MatrixLab, pod: { readonly netns: string }): Promise<number> {
  const [link] = JSON.parse(await lab.inside(pod, "ip", "-j", "link", "show", "eth0")) as {
    readonly mtu: number;
  }[];
  return link?.mtu ?? 0;
}

/** Of the first pods of all nodes, at both ends. */
async function setMtu(lab: MatrixLab, mtu: number): Promise<void> {
  for (const number of [1, 2, 3]) {
    const pod = lab.pod(number);
    const [link] = JSON.parse(await lab.inside(pod, "ip", "-j", "link", "show", "eth0")) as {
      readonly link_index: number;
    }[];
    const links = JSON.parse(await lab.inside(lab.node(number), "ip", "-j", "link")) as {
      readonly ifindex: number;
      readonly ifname: string;
    }[];
    const host = links.find(({ ifindex }) => ifindex === link?.link_index)?.ifname ?? "";
    await lab.inside(lab.node(number), "ip", "link", "set", host, "mtu", `${mtu}`);
    await lab.inside(pod, "ip", "link", "set", "eth0", "mtu", `${mtu}`);
  }
}

async function policyHolds(lab: MatrixLab): Promise<void> {
  await lab.lab.apply(guard);
  await lab.converges();
  const { flows } = await lab.lab.check();
  assert.ok(flows.some(({ expected }) => !expected));
  const { code, stderr } = await lab.lab.cli(["delete", "-f", "-"], guard);
  assert.equal(code, 0, stderr);
  await lab.converges();
}

const outside: Readonly<Record<IpFamily, string>> = { 4: "203.0.113.10", 6: "2001:db8:cafe::10" };

async function natHolds(lab: MatrixLab): Promise<void> {
  const from = lab.pod(1);
  const seenAs = async (family: IpFamily, source: string) => {
    const lines = await lab.captured(`dst host ${outside[family]}`, async () => {
      await lab.ping(from, outside[family]).catch(() => undefined);
    });
    return lines.some((line) => line.includes(` ${source} > ${outside[family]}`));
  };
  for (const family of lab.families) {
    const [node, own] = [lab.address(lab.node(1), family), lab.address(from, family)];
    const becomes = (source: string) =>
      waitFor(() => seenAs(family, source), { timeoutMs: patienceMs, what: `${source} as source` });
    // A pool of IPv6 has no NAT unless it is asked for (facts 2.3).
    const back = family === 4;
    await setNat(lab, family, true);
    await becomes(node);
    await setNat(lab, family, false);
    await becomes(own);
    await setNat(lab, family, back);
    await becomes(back ? node : own);
  }
  const { flows } = await lab.lab.check();
  const pods = flows.filter(({ from: name, seenAs: seen }) => name.includes("/") && seen);
  for (const { from: name, seenAs: seen } of pods) {
    const own = lab.status.pods.filter((pod) => `${pod.node}/${pod.name}` === name);
    assert.ok(
      own.some(({ addresses }) => addresses.includes(seen ?? "")),
      `${name} seen as ${seen}`,
    );
  }
}

async function setNat(lab: MatrixLab, family: IpFamily, natOutgoing: boolean): Promise<void> {
  const patch = JSON.stringify({ spec: { natOutgoing } });
  const pool = `default-ipv${family}-ippool`;
  const { code, stderr } = await lab.lab.cli(["patch", "ippool", pool, "-p", patch]);
  assert.equal(code, 0, stderr);
}
