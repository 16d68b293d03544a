import { execFileSync } from "node:child_process";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import { pods, v4Of, v6Of } from "./arbitrary-cluster/pools.ts";
import { FelixProcess } from "./felix-process.ts";
import { TestNetns } from "./netns.ts";

/** One node, its felix, and its side of the pods. */
export class PolicyNode {
  readonly name: string;
  readonly netns: TestNetns;
  readonly felix: FelixProcess;
  readonly pods: readonly TestNetns[];
  readonly #save: string;

  constructor(of: {
    name: string;
    index: number;
    store: string;
    folder: string;
    world: TestNetns;
  }) {
    const { name, index, store, folder, world } = of;
    const backend = index === 0 ? "nft" : "legacy";
    this.name = name;
    this.#save = `tables-${backend}-save`;
    this.netns = new TestNetns(name);
    prepare(this.netns);
    const { name: netns } = this.netns;
    this.felix = new FelixProcess({
      ...{ netns, node: name, store, folder },
      env: { FELIX_IPTABLESBACKEND: backend },
    });
    connect(this.netns, index, world);
    this.pods = pods.map((pod) => addPod(this.netns, { pod, other: 1 - index }));
  }

  /** Whether the pods that are on this node, and no others, have their routes here. */
  routes(resources: readonly AnyResource[]): boolean {
    const names = new Set(
      resources.flatMap((one) =>
        one.kind === "WorkloadEndpoint" && one.spec.node === this.name
          ? [one.spec.interfaceName]
          : [],
      ),
    );
    const routes = this.netns.ip("-4 route") + this.netns.ip("-6 route");
    return pods.every((pod) =>
      [v4Of(pod), v6Of(pod)].every(
        (address) => routes.includes(`${address} dev cali${pod}x `) === names.has(`cali${pod}x`),
      ),
    );
  }

  /** Whether the chain of the profile is in the kernel, of both families. */
  shows(profileName: string): boolean {
    return ["ip", "ip6"].every((family) =>
      this.netns
        .run(`${family}${this.#save}`, ["-t", "filter"])
        .includes(`:cali-pri-${profileName} `),
    );
  }

  remove(): void {
    for (const pod of this.pods) pod.remove();
    this.netns.remove();
  }
}

/** Packets are made by hand, without checksums. */
function prepare(netns: TestNetns): void {
  const settings = [
    "net.ipv4.ip_forward=1",
    "net.ipv6.conf.all.forwarding=1",
    "net.ipv6.conf.default.accept_dad=0",
    "net.netfilter.nf_conntrack_checksum=0",
  ];
  netns.run("sysctl", ["-q", "-w", ...settings]);
}

export const bridgeMac = "02:00:00:00:00:fe";
const nodeMac = (index: number) => `02:00:00:00:00:0${index + 1}`;

/** Neighbours are permanent: a host endpoint's policy may drop the packets that look for them. */
function connect(netns: TestNetns, index: number, world: TestNetns): void {
  const other = 1 - index;
  batch(world, [
    `link add port${index} type veth peer name eth0 address ${nodeMac(index)} netns ${netns.name}`,
    `link set port${index} master br0 up`,
    `neighbor replace ${gateway(index, "4")} lladdr ${nodeMac(index)} dev br0 nud permanent`,
    `neighbor replace ${gateway(index, ":")} lladdr ${nodeMac(index)} dev br0 nud permanent`,
  ]);
  const neighbor = (address: string, mac: string) =>
    `neighbor replace ${address} lladdr ${mac} dev eth0 nud permanent`;
  batch(netns, [
    "link set eth0 up",
    `address add ${gateway(index, "4")}/24 dev eth0`,
    `address add ${gateway(index, ":")}/64 dev eth0 nodad`,
    "route add default via 192.168.0.254",
    "route add default via fd01::fe",
    neighbor("192.168.0.254", bridgeMac),
    neighbor("fd01::fe", bridgeMac),
    neighbor(gateway(other, "4"), nodeMac(other)),
    neighbor(gateway(other, ":"), nodeMac(other)),
  ]);
}

/** As the CNI plugin leaves it. Where the pod is not on this node, its addresses are at the other. */
function addPod(node: TestNetns, { pod, other }: { pod: number; other: number }): TestNetns {
  const netns = new TestNetns(`p${pod}`);
  netns.run("sysctl", ["-q", "-w", "net.ipv6.conf.default.accept_dad=0"]);
  const link = `cali${pod}x`;
  const hostMac = "ee:ee:ee:ee:ee:ee";
  const podMac = `02:00:00:00:01:0${pod}`;
  const peer = `type veth peer name eth0 address ${podMac} netns ${netns.name}`;
  batch(node, [
    `link add ${link} address ${hostMac} ${peer}`,
    `link set ${link} up`,
    ...[v4Of(pod), v6Of(pod)].map(
      (address) => `route add ${hostNet(address)} via ${gateway(other, address)} metric 2000`,
    ),
  ]);
  batch(netns, [
    "link set eth0 up",
    `address add ${hostNet(v4Of(pod))} dev eth0`,
    `address add ${hostNet(v6Of(pod))} dev eth0 nodad`,
    "route add 169.254.1.1 dev eth0 scope link",
    "route add default via 169.254.1.1",
    "route add default via fe80::1 dev eth0",
    `neighbor replace 169.254.1.1 lladdr ${hostMac} dev eth0 nud permanent`,
    `neighbor replace fe80::1 lladdr ${hostMac} dev eth0 nud permanent`,
  ]);
  return netns;
}

export function gateway(index: number, family: string): string {
  return family.includes(":") ? `fd01::${index + 1}` : `192.168.0.${index + 1}`;
}

export function hostNet(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

/** Lines of `ip -batch`. */
export function batch(netns: TestNetns, lines: readonly string[]): void {
  if (lines.length === 0) return;
  execFileSync("ip", ["-n", netns.name, "-batch", "-"], { input: `${lines.join("\n")}\n` });
}
