import { addNetns, createFabric, removeNetns } from "../../src/lab/fabric.ts";
import { type LabPlan, type LabRequest, planLab } from "../../src/lab/lab-plan.ts";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { run, type TestLab } from "../../test/support/lab.ts";

type LabPod = LabStatus["pods"][number];

/** What `ip -d -j link` tells of a link. */
interface Link {
  readonly ifindex: number;
  readonly ifname: string;
  readonly link_index?: number;
  readonly address: string;
  readonly mtu: number;
  readonly num_tx_queues: number;
  readonly num_rx_queues: number;
}

/**
 * The same nodes and pods as a lab's, made by hand: the same wires, addresses, devices, routes, neighbors
 * and forwarding entries by iproute2, and what iptables-save and ipset save of the lab's nodes print.
 */
export class Twin {
  readonly #lab: TestLab;
  readonly #status: LabStatus;
  readonly #plan: LabPlan;
  readonly #pods: string[] = [];

  constructor(lab: TestLab, status: LabStatus, request: LabRequest) {
    this.#lab = lab;
    this.#status = status;
    this.#plan = planLab({ ...request, name: `${lab.name}h` });
  }

  /** Of the twin of a pod. */
  netnsOf(pod: LabPod): string {
    return `${this.#plan.router}-${pod.node}-${pod.name}`;
  }

  async up(): Promise<void> {
    await createFabric(this.#plan);
    for (const [index, node] of this.#status.nodes.entries()) {
      const netns = this.#plan.nodes[index]?.netns ?? "";
      await this.#sysctl(netns, ["net.ipv4.ip_forward=1"]);
      for (const pod of this.#status.pods.filter((each) => each.node === node.name)) {
        await this.#addPod(netns, node.netns, pod);
      }
      await this.#addTunnel(netns, node.netns);
      const routes = await this.#lab.inside(node.netns, "ip", "route");
      const ours = routes.split("\n").filter((line) => /proto (80|bird)|vxlan\.calico/.test(line));
      await this.#ip(
        netns,
        ours.map((line) => `route add ${line.trim()}`),
      );
      await this.#copyRules(netns, node.netns);
    }
  }

  async down(): Promise<void> {
    const nodes = this.#plan.nodes.map(({ netns }) => netns);
    for (const netns of [...this.#pods, ...nodes, this.#plan.router]) await removeNetns(netns);
  }

  async #addPod(netns: string, original: string, pod: LabPod): Promise<void> {
    const inner = await this.#link(pod.netns, "eth0");
    const links = JSON.parse(
      await this.#lab.inside(original, "ip", "-d", "-j", "link"),
    ) as readonly Link[];
    const outer = links.find(({ ifindex }) => ifindex === inner.link_index);
    if (outer === undefined) throw new Error(`Cannot find the interface of ${pod.name}`);
    const name = this.netnsOf(pod);
    await addNetns(name);
    this.#pods.push(name);
    const [address = ""] = pod.addresses;
    await this.#ip(netns, [
      `link add ${outer.ifname} address ${outer.address} mtu ${outer.mtu} ${queues(outer)} type veth ` +
        `peer name eth0 address ${inner.address} mtu ${inner.mtu} ${queues(inner)} netns ${name}`,
      `link set ${outer.ifname} up`,
      `route add ${address} dev ${outer.ifname} scope link metric 1024`,
      `neigh add ${address} lladdr ${inner.address} dev ${outer.ifname} nud permanent`,
    ]);
    await this.#ip(name, [
      "link set lo up",
      "link set eth0 up",
      `address add ${address}/32 dev eth0`,
      "route add 169.254.1.1 dev eth0 scope link",
      "route add default via 169.254.1.1 dev eth0",
    ]);
    const at = `net.ipv4.conf.${outer.ifname}`;
    const filter = await this.#lab.inside(original, "sysctl", "-n", `${at}.rp_filter`);
    await this.#sysctl(netns, [
      `${at}.proxy_arp=1`,
      `net.ipv4.neigh.${outer.ifname}.proxy_delay=0`,
      `${at}.rp_filter=${filter.trim()}`,
    ]);
  }

  async #addTunnel(netns: string, original: string): Promise<void> {
    const name = "vxlan.calico";
    const present = await run("nsenter", [
      `--net=/run/netns/${original}`,
      "ip",
      "link",
      "show",
      name,
    ]);
    if (present.code !== 0) return;
    const { address, mtu } = await this.#link(original, name);
    const text = await this.#lab.inside(original, "ip", "-d", "-o", "address", "show", name);
    const details = await this.#lab.inside(original, "ip", "-d", "-o", "link", "show", name);
    const local = / local (\S+)/.exec(details)?.[1] ?? "";
    const ends = (await this.#lab.inside(original, "bridge", "fdb", "show", "dev", name)).trim();
    const neighbors = await this.#lab.inside(original, "ip", "neigh", "show", "dev", name);
    await this.#ip(netns, [
      `link add ${name} address ${address} mtu ${mtu} type vxlan id 4096 dstport 4789 ` +
        `local ${local} dev eth0 nolearning`,
      `address add ${/ inet (\S+)/.exec(text)?.[1]} dev ${name}`,
      `link set ${name} up`,
      ...[...neighbors.matchAll(/^(\S+) .*lladdr (\S+) PERMANENT/gm)].map(
        ([, to, mac]) => `neigh add ${to} lladdr ${mac} dev ${name} nud permanent`,
      ),
    ]);
    for (const [, mac = "", to = ""] of ends.matchAll(/^(\S+) dst (\S+)/gm)) {
      await this.#lab.inside(netns, "bridge", "fdb", "append", mac, "dev", name, "dst", to);
    }
  }

  async #copyRules(netns: string, original: string): Promise<void> {
    const sets = await this.#lab.inside(original, "ipset", "save");
    await this.#feed(netns, ["ipset", "restore"], sets);
    for (const variant of ["nft", "legacy"]) {
      const rules = await this.#lab.inside(original, `iptables-${variant}-save`);
      if (rules.includes("cali-")) await this.#feed(netns, [`iptables-${variant}-restore`], rules);
    }
  }

  async #link(netns: string, name: string): Promise<Link> {
    const text = await this.#lab.inside(netns, "ip", "-d", "-j", "link", "show", name);
    const [link] = JSON.parse(text) as readonly Link[];
    if (link === undefined) throw new Error(`Cannot find ${name} in ${netns}`);
    return link;
  }

  #ip(netns: string, commands: readonly string[]): Promise<void> {
    return this.#feed(netns, ["ip", "-batch", "-"], `${commands.join("\n")}\n`);
  }

  async #sysctl(netns: string, settings: readonly string[]): Promise<void> {
    await this.#lab.inside(netns, "sysctl", "-qw", ...settings);
  }

  async #feed(netns: string, command: readonly string[], input: string): Promise<void> {
    const args = [`--net=/run/netns/${netns}`, "--", ...command];
    const { code, stderr } = await run("nsenter", args, { input });
    if (code !== 0) throw new Error(`${command.join(" ")} in ${netns}: ${stderr}\n${input}`);
  }
}

function queues({ num_tx_queues, num_rx_queues }: Link): string {
  return `numtxqueues ${num_tx_queues} numrxqueues ${num_rx_queues}`;
}
