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
import { configuration, nodes as nodeNames, outside } from "./arbitrary-cluster/pools.ts";
import { TestNetns } from "./netns.ts";
import { batch, bridgeMac, gateway, hostNet, PolicyNode } from "./policy-node.ts";
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
      `link add br0 address ${bridgeMac} type bridge`,
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
