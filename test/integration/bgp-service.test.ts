import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { calicoApiVersion } from "../../src/api/meta.ts";
import { keyOf } from "../../src/api/resource-key.ts";
import type { AnyResource, Kind, ResourceOfKind } from "../../src/api/resource-of-kind.ts";
import { runBgp } from "../../src/bgp/speaker/speaker-service.ts";
import type { Datastore, WatchEvent } from "../../src/datastore/datastore.ts";
import { DatastoreError } from "../../src/datastore/datastore.ts";
import type { Kernel, KernelRoute } from "../../src/kernel/kernel.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { parsePrefix } from "../../src/lib/prefix.ts";
import { waitFor } from "../support/wait-for.ts";
import { askSocket } from "./bgp-node.ts";

/** A datastore in memory whose watches end when the test says so. */
class BreakableStore {
  readonly #objects = new Map<string, AnyResource>();
  readonly #watches = new Set<(event: WatchEvent | Error) => void>();
  #revision = 0;
  watches = 0;
  isDown = false;

  put<K extends Kind>(kind: K, name: string, spec: ResourceOfKind[K]["spec"]): void {
    const metadata = { name, resourceVersion: String(++this.#revision) };
    const resource = { apiVersion: calicoApiVersion, kind, metadata, spec } as never as AnyResource;
    this.#objects.set(`${kind}/${name}`, resource);
    this.#tell({ kind: "set", key: keyOf(resource), resource, revision: `${this.#revision}` });
  }

  async get({ kind, name }: { readonly kind: Kind; readonly name: string }) {
    return this.#objects.get(`${kind}/${name}`);
  }

  async update(resource: AnyResource): Promise<void> {
    this.#objects.set(`${resource.kind}/${resource.metadata.name}`, resource);
  }

  breakWatches(): void {
    this.#tell(new DatastoreError("Cannot watch: broken", { code: "unavailable" }));
  }

  async list(kind: Kind) {
    if (this.isDown) throw new DatastoreError("Cannot list: down", { code: "unavailable" });
    const items = [...this.#objects.values()].filter((object) => object.kind === kind);
    return { items, revision: String(this.#revision) };
  }

  async *watch(kinds: readonly Kind[], revision: string, signal: AbortSignal) {
    if (this.isDown) throw new DatastoreError("Cannot watch: down", { code: "unavailable" });
    this.watches++;
    const queue: (WatchEvent | Error)[] = [...this.#objects.values()]
      .filter(({ metadata }) => Number(metadata.resourceVersion) > Number(revision))
      .map((resource) => ({
        kind: "set" as const,
        key: keyOf(resource),
        resource,
        revision: resource.metadata.resourceVersion ?? "",
      }));
    let wake: () => void = () => undefined;
    const listen = (event: WatchEvent | Error) => {
      queue.push(event);
      wake();
    };
    this.#watches.add(listen);
    try {
      while (!signal.aborted) {
        const next = queue.shift();
        if (next instanceof Error) throw next;
        if (next !== undefined) {
          if (next.kind !== "set" || kinds.includes(next.key.kind)) yield next;
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
    } finally {
      this.#watches.delete(listen);
    }
  }

  #tell(event: WatchEvent | Error): void {
    for (const listen of this.#watches) listen(event);
  }
}

/** Only what the speaker uses; loopback is directly connected. */
function fakeKernel(): { readonly kernel: Kernel; readonly routes: Map<string, KernelRoute> } {
  const routes = new Map<string, KernelRoute>();
  const loopback: KernelRoute = {
    table: 254,
    destination: parsePrefix("127.0.0.0/8"),
    priority: 0,
    kind: "unicast",
    scope: "link",
    protocol: 2,
    ifindex: 1,
  };
  const kernel = {
    links: { get: async () => undefined, list: async () => [] },
    addresses: { list: async () => [] },
    monitor: (_: unknown, signal: AbortSignal) =>
      new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
    routes: {
      list: async (filter?: { protocol?: number }) =>
        [loopback, ...routes.values()].filter(
          ({ protocol }) => filter?.protocol === undefined || filter.protocol === protocol,
        ),
      replace: async (set: readonly KernelRoute[]) => {
        for (const route of set) routes.set(route.destination, route);
        return [];
      },
      remove: async (gone: readonly KernelRoute[]) => {
        for (const route of gone) routes.delete(route.destination);
        return [];
      },
    },
  };
  return { kernel: kernel as never as Kernel, routes };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

describe("runBgp() on loopback", () => {
  const store = new BreakableStore();
  const stop = new AbortController();
  const [a, b] = [fakeKernel(), fakeKernel()];
  let folder: string;
  let running: Promise<unknown>[];

  const statusOf = (name: string) =>
    askSocket(join(folder, `${name}.sock`), "status") as Promise<{
      readonly peers: readonly {
        readonly name: string;
        readonly state: string;
        readonly since: string;
        readonly reason: string;
      }[];
      readonly problems: readonly string[];
    }>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tt-bgp-service-"));
    const listenPort = await freePort();
    store.put("BGPConfiguration", "default", { listenPort, bindMode: "NodeIP" });
    store.put("IPPool", "pool", { cidr: "10.244.0.0/16" });
    for (const [name, host] of [
      ["a", 2],
      ["b", 3],
    ] as const) {
      store.put("Node", name, { bgp: { ipv4Address: `127.0.0.${host}/8` } });
      const cidr = `10.244.${host}.0/26`;
      store.put("BlockAffinity", `${name}-block`, { node: name, cidr, state: "confirmed" });
    }
    running = [["a", a.kernel] as const, ["b", b.kernel] as const].map(([nodeName, kernel]) =>
      runBgp(
        {
          nodeName,
          env: {},
          statusPath: join(folder, `${nodeName}.sock`),
          birdFolder: join(folder, nodeName),
        },
        {
          datastore: store as never as Datastore,
          kernel,
          clock: systemClock,
          log: createLogger({ name: "bgp", level: "silent" }),
        },
      )(stop.signal),
    );
    await waitFor(() => a.routes.size === 2 && b.routes.size === 2, { what: "routes" });
  });

  after(async () => {
    stop.abort();
    await Promise.all(running);
    await rm(folder, { recursive: true, force: true });
  });

  test("a watch that fails withdraws nothing, and what changed meanwhile is caught up", async () => {
    store.isDown = true;
    const before = store.watches;
    store.breakWatches();
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.deepEqual([a.routes.size, b.routes.size], [2, 2]);
    store.put("BlockAffinity", "a-second", {
      node: "a",
      cidr: "10.244.2.64/26",
      state: "confirmed",
    });
    store.isDown = false;
    await waitFor(() => b.routes.has("10.244.2.64/26"), { what: "the new block" });
    assert.ok(store.watches > before);
  });

  test("a change resets only the sessions that it concerns", async () => {
    const since = async () => JSON.stringify((await statusOf("a")).peers[0]);
    const before = await since();
    store.put("BGPPeer", "tor", { peerIP: "127.0.0.9", asNumber: 65009 });
    store.put("IPPool", "second", { cidr: "10.245.0.0/16" });
    await waitFor(async () => (await statusOf("a")).peers.length === 2, { what: "the new peer" });
    const { peers } = await statusOf("a");
    const mesh = peers.find(({ name }) => name === "Mesh_127_0_0_3");
    assert.equal(JSON.stringify(mesh), before);
  });

  test("a peer whose password cannot be read stays down with the reason", async () => {
    const password = { secretKeyRef: { name: "bgp", key: "password" } };
    store.put("BGPPeer", "secret", { peerIP: "127.0.0.8", asNumber: 65009, password });
    const peer = await waitFor(
      async () =>
        (await statusOf("a")).peers.find(({ name }) => name.startsWith("Global_127_0_0_8")),
      { what: "the blocked peer" },
    );
    assert.equal(peer.state, "Idle");
    assert.match(peer.reason, /^password "bgp\/password" cannot be used: .*no such file/);
  });

  test("a configuration that cannot be read leaves the one before in force", async () => {
    store.put("BGPPeer", "bad", { peerIP: "not an address" });
    await waitFor(async () => (await statusOf("a")).problems.length > 0, { what: "the problem" });
    store.put("BGPConfiguration", "node.a", {});
    const port = await freePort();
    store.put("BGPConfiguration", "default", {
      listenPort: port,
      bindMode: "NodeIP",
      asNumber: "nonsense",
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual([a.routes.size, b.routes.size], [3, 3]);
  });

  test("a CalicoNodeStatus of the node is filled", async () => {
    const classes = ["Agent", "BGP"] as const;
    store.put("CalicoNodeStatus", "a", { node: "a", classes, updatePeriodSeconds: 10 });
    const status = await waitFor(
      async () => {
        const object = await store.get({ kind: "CalicoNodeStatus", name: "a" });
        return object?.kind === "CalicoNodeStatus" ? object.status : undefined;
      },
      { what: "the status" },
    );
    assert.equal(status.agent?.birdV4?.state, "Ready");
    const mesh = status.bgp?.peersV4?.find(({ type }) => type === "NodeMesh");
    assert.deepEqual([mesh?.peerIP, mesh?.state], ["127.0.0.3", "Established"]);
  });

  test("the sockets of BIRD answer", async () => {
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(join(folder, "a", "bird.ctl"));
      let read = "";
      socket.on("error", reject);
      socket.on("data", (chunk) => {
        read += String(chunk);
        if (!/^0000 /m.test(read)) return;
        socket.destroy();
        resolve(read);
      });
      socket.write("show protocols\n");
    });
    assert.match(text, /^.*Mesh_127_0_0_3 BGP +master +up +\S+ +Established$/m);
  });

  test("another listen port moves the sessions there", async () => {
    const listenPort = await freePort();
    const meshOf = async () =>
      (await statusOf("b")).peers.find(({ name }) => name === "Mesh_127_0_0_2");
    const before = (await meshOf())?.since;
    store.put("BGPConfiguration", "default", { listenPort, bindMode: "NodeIP" });
    const isUpAgain = async () => {
      const mesh = await meshOf();
      return mesh?.state === "Established" && mesh.since !== before;
    };
    await waitFor(isUpAgain, { what: "the session on the new port", timeoutMs: 20_000 });
    await waitFor(() => a.routes.size === 3 && b.routes.size === 3, { what: "routes" });
  });
});
