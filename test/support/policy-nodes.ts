import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keyOf, keyText } from "../../src/api/resource-key.ts";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { profile } from "../states/resources.ts";
import type { Case } from "./arbitrary-cluster/arbitrary-case.ts";
import {
  configuration,
  nodes as nodeNames,
  outside,
  pods,
  v4Of,
  v6Of,
} from "./arbitrary-cluster/pools.ts";
import { FelixProcess } from "./felix-process.ts";
import { TestNetns } from "./netns.ts";
import { RawSockets } from "./raw-sockets.ts";
import { waitFor } from "./wait-for.ts";

/**
 * The nodes of random clusters as namespaces, each with the real felix: the first on iptables-nft, the
 * second on iptables-legacy. Both have an interface for every pod; who is drawn to a node has its own
 * there. Behind both is the world, which has the addresses of nobody else.
 *
 *   pod namespaces == cali0x.. node-a eth0 == br0 of the world == eth0 node-b ..cali4x == pod namespaces
 */
export class PolicyNodes {
  readonly #folder = mkdtempSync(join(tmpdir(), "tortie-policy-nodes-"));
  readonly #datastore: Datastore;
  readonly #world = new TestNetns("world");
  readonly #nodes: readonly PolicyNode[];
  readonly #sockets = new Map<string, RawSockets>();
  readonly #configuration: AnyResource;
  #there: ReadonlyMap<string, AnyResource> = new Map();
  #case = 0;

  /** Felix ends when its configuration changes, for its parent to start it again: here it has one. */
  constructor(endpointToHost: "Drop" | "Accept" | "Return") {
    this.#configuration = configuration(endpointToHost);
    const store = join(this.#folder, "store");
    this.#datastore = openEmbeddedDatastore(store);
    batch(this.#world, [
      "link add br0 address 02:00:00:00:00:fe type bridge",
      "link set br0 up",
      "address add 192.168.0.254/24 dev br0",
      "address add fd01::fe/64 dev br0 nodad",
      ...outside.map((address) => `address add ${hostNet(address)} dev lo`),
    ]);
    this.#nodes = nodeNames.map((name, index) => {
      const folder = join(this.#folder, name);
      mkdirSync(folder);
      return new PolicyNode({ name, index, store, folder, world: this.#world });
    });
    this.#sockets.set("world", new RawSockets(this.#world.fd));
    for (const { name, netns, pods: own } of this.#nodes) {
      this.#sockets.set(name, new RawSockets(netns.fd));
      for (const [index, pod] of own.entries()) {
        this.#sockets.set(`${name} cali${index}x`, new RawSockets(pod.fd));
      }
    }
  }

  async start(): Promise<void> {
    await this.#datastore.create(this.#configuration as never);
    await Promise.all(this.#nodes.map(({ felix }) => felix.start()));
  }

  /** Of a pod's interface on a node, of a node, or of the world. */
  socketsAt(node: string | undefined, interfaceName: string | undefined): RawSockets {
    const name = node === undefined ? "world" : [node, interfaceName].filter(Boolean).join(" ");
    const sockets = this.#sockets.get(name);
    if (sockets === undefined) throw new Error(`There is no ${name}`);
    return sockets;
  }

  /** The case with the configuration that felix has here. */
  adapted({ resources, packets }: Case): Case {
    const others = resources.filter(({ kind }) => kind !== "FelixConfiguration");
    return { resources: [...others, this.#configuration], packets };
  }

  /** Makes the datastore hold these resources alone, and waits until both kernels do as they say. */
  async program(resources: readonly AnyResource[]): Promise<void> {
    const marked = [...resources, ...this.#markers()];
    const wanted = new Map(marked.map((one) => [keyText(keyOf(one)), one]));
    wanted.delete(keyText(keyOf(this.#configuration)));
    for (const [key, resource] of this.#there) {
      if (!wanted.has(key)) await this.#datastore.delete(keyOf(resource));
    }
    for (const [key, resource] of wanted) await this.#put(resource, this.#there.get(key));
    this.#there = wanted;
    this.#routeWorld(resources);
    const done = () =>
      this.#nodes.every((node) => node.routes(resources) && node.shows(markerName(this.#case)));
    await waitFor(done, {
      timeoutMs: 60_000,
      intervalMs: 50,
      what: "felix to follow the datastore",
    }).catch((cause) => {
      throw new Error(this.#nodes.map(({ felix }) => felix.log.slice(-4000)).join("\n"), { cause });
    });
    for (const { netns } of this.#nodes) forgetConnections(netns);
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map(({ felix }) => felix.stop("SIGKILL")));
    for (const sockets of this.#sockets.values()) sockets[Symbol.dispose]();
    await this.#datastore.close();
    for (const node of this.#nodes) node.remove();
    this.#world.remove();
    rmSync(this.#folder, { recursive: true });
  }

  /** Last of all, an endpoint of each node has another profile: its chain comes when all else has. */
  #markers(): AnyResource[] {
    const name = markerName(++this.#case);
    return [profile(name, {}), ...nodeNames.map((node) => markerEndpoint(node, name))];
  }

  async #put(resource: AnyResource, before: AnyResource | undefined): Promise<void> {
    if (before === undefined) {
      await this.#datastore.create(resource as never);
      return;
    }
    if (JSON.stringify(before) === JSON.stringify(resource)) return;
    const { metadata } = await this.#datastore.get(keyOf(resource));
    const { resourceVersion, uid } = metadata;
    const updated = { ...resource, metadata: { ...resource.metadata, resourceVersion, uid } };
    await this.#datastore.update(updated as never);
  }

  #routeWorld(resources: readonly AnyResource[]): void {
    const routes = resources.flatMap((one) => {
      if (one.kind !== "WorkloadEndpoint") return [];
      const index = nodeNames.indexOf(one.spec.node);
      return (one.spec.ipNetworks ?? []).map(
        (net) => `route replace ${net} via ${gateway(index, net)}`,
      );
    });
    batch(this.#world, routes);
  }
}

/** One node, its felix, and its side of the pods. */
class PolicyNode {
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

const bridgeMac = "02:00:00:00:00:fe";
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

function gateway(index: number, family: string): string {
  return family.includes(":") ? `fd01::${index + 1}` : `192.168.0.${index + 1}`;
}

function hostNet(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

function batch(netns: TestNetns, lines: readonly string[]): void {
  if (lines.length === 0) return;
  execFileSync("ip", ["-n", netns.name, "-batch", "-"], { input: `${lines.join("\n")}\n` });
}

/** Else what one case let through goes on in the next. */
function forgetConnections(netns: TestNetns): void {
  for (const family of ["ipv4", "ipv6"]) {
    execFileSync("ip", ["netns", "exec", netns.name, "conntrack", "-F", "-f", family], {
      stdio: "ignore",
    });
  }
}

function markerName(index: number): string {
  return `marker-${index}`;
}

function markerEndpoint(node: string, profileName: string): AnyResource {
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "WorkloadEndpoint",
    metadata: { name: `${node.replace("-", "--")}-k8s-marker-eth0`, namespace: "marker" },
    spec: {
      orchestrator: "k8s",
      node,
      pod: "marker",
      endpoint: "eth0",
      ipNetworks: [],
      interfaceName: "calimark",
      profiles: [profileName],
    },
  } as AnyResource;
}
