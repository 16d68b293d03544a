import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { pino } from "pino";
import { calicoApiVersion } from "../../../../src/api/meta.ts";
import type { AnyResource } from "../../../../src/api/resource-of-kind.ts";
import type { SpeakerConfig } from "../../../../src/bgp/config/speaker-config.ts";
import { DatastoreConfig } from "../../../../src/bgp/speaker/datastore-config.ts";
import type { Logger } from "../../../../src/lib/log.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { MemoryDatastore } from "../../../support/memory-datastore.ts";

const folder = mkdtempSync(join(tmpdir(), "tortie-config-"));
after(() => rmSync(folder, { recursive: true }));

function v3(kind: string, name: string, spec: object, metadata: object = {}): AnyResource {
  return {
    apiVersion: calicoApiVersion,
    kind,
    metadata: { name, ...metadata },
    spec,
  } as unknown as AnyResource;
}

const node = (name: string, ipv4Address: string) => v3("Node", name, { bgp: { ipv4Address } });
const peer = (name: string, spec: object) => v3("BGPPeer", name, spec);

const endpoint = (name: string, on: string, net: string) =>
  v3(
    "WorkloadEndpoint",
    name,
    {
      orchestrator: "k8s",
      node: on,
      endpoint: "eth0",
      interfaceName: "cali1",
      ipNetworks: [net],
    },
    { namespace: "default", labels: { router: "true" } },
  );

/** A running source of configurations, and time that a test moves. */
class Source {
  readonly datastore: MemoryDatastore;
  readonly configs: SpeakerConfig[] = [];
  readonly log: Logger = pino({ level: "silent" });
  readonly #clock = new FakeClock();
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  constructor(resources: readonly AnyResource[]) {
    this.datastore = new MemoryDatastore([node("a", "10.0.0.1/24"), ...resources]);
    const config = { nodeName: "a", env: { TORTIE_SECRETS_PATH: folder } };
    const deps = { datastore: this.datastore, clock: this.#clock, log: this.log };
    const source = new DatastoreConfig(config, deps, (next) => this.configs.push(next));
    this.#ended = source.run(this.#stop.signal);
  }

  /** Moves time on by `ms` and lets everything happen that waits for nothing else. */
  async pass(ms: number): Promise<void> {
    for (let step = 0; step < 20; step++) {
      this.#clock.advance(ms / 20);
      for (let turn = 0; turn < 5; turn++) await nextTurn();
    }
  }

  get last(): SpeakerConfig {
    const config = this.configs.at(-1);
    assert.ok(config !== undefined, "there is a configuration");
    return config;
  }

  addresses(): readonly string[] {
    return this.last.peers.map(({ config }) => config.address);
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error("test ends"));
    await this.#ended;
  }
}

test("A change of the datastore gives a configuration, nothing new gives none", async () => {
  const source = new Source([]);
  await source.pass(1000);
  assert.equal(source.configs.length, 1);
  await source.datastore.create(peer("p", { peerIP: "10.9.9.9" }));
  await source.pass(1000);
  assert.deepEqual(source.addresses(), ["10.9.9.9"]);
  await source.pass(60_000);
  assert.equal(source.configs.length, 2);
  await source.stop();
});

test("A password that comes, changes or goes is seen within 10 s", async () => {
  mkdirSync(join(folder, "bgp"), { recursive: true });
  const put = (text: string) => writeFileSync(join(folder, "bgp", "k"), text, { mode: 0o600 });
  const password = { secretKeyRef: { name: "bgp", key: "k" } };
  const source = new Source([peer("p", { peerIP: "10.9.9.9", password })]);
  await source.pass(1000);
  assert.match(source.last.blocked[0]?.reason ?? "", /password "bgp\/k" cannot be used: ENOENT/);
  put("one");
  await source.pass(10_000);
  assert.equal(source.last.peers[0]?.config.password?.reveal(), "one");
  put("two");
  await source.pass(10_000);
  assert.equal(source.last.peers[0]?.config.password?.reveal(), "two");
  rmSync(join(folder, "bgp", "k"));
  await source.pass(10_000);
  assert.deepEqual([source.last.peers.length, source.last.blocked.length], [0, 1]);
  await source.stop();
});

test("Local workloads are followed once a BGPPeer asks for them, those of this node", async () => {
  const source = new Source([
    endpoint("near", "a", "10.65.0.2/32"),
    endpoint("far", "b", "10.65.1.2/32"),
  ]);
  await source.pass(1000);
  assert.deepEqual(source.addresses(), []);
  const spec = { localWorkloadSelector: "has(router)", asNumber: 65100 };
  await source.datastore.create(peer("pods", spec));
  await source.pass(1000);
  assert.deepEqual(source.addresses(), ["10.65.0.2"]);
  await source.datastore.create(endpoint("next", "a", "10.65.0.3/32"));
  await source.pass(1000);
  assert.deepEqual(source.addresses(), ["10.65.0.2", "10.65.0.3"]);
  await source.stop();
});

test("The first configuration has the local workloads, when a BGPPeer asks for them", async () => {
  const spec = { localWorkloadSelector: "has(router)", asNumber: 65100 };
  const source = new Source([peer("pods", spec), endpoint("near", "a", "10.65.0.2/32")]);
  await source.pass(1000);
  assert.equal(source.configs.length, 1);
  assert.deepEqual(source.addresses(), ["10.65.0.2"]);
  await source.stop();
});

test("Services are followed once their addresses are to be told of", async () => {
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "shop" },
    spec: { type: "LoadBalancer", clusterIP: "10.96.0.10", externalTrafficPolicy: "Local" },
  } as unknown as AnyResource;
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: "web-x",
      namespace: "shop",
      labels: { "kubernetes.io/service-name": "web" },
    },
    spec: {},
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.65.0.2"], nodeName: "a" }],
  } as unknown as AnyResource;
  const source = new Source([service, slice]);
  await source.pass(1000);
  assert.deepEqual(source.last.originated, []);
  const spec = { serviceClusterIPs: [{ cidr: "10.96.0.0/12" }] };
  await source.datastore.create(v3("BGPConfiguration", "default", spec));
  await source.pass(1000);
  assert.equal(source.configs.length, 2, "not a configuration without the services in between");
  assert.deepEqual(source.last.originated, ["10.96.0.0/12", "10.96.0.10/32"]);
  await source.datastore.delete({ kind: "EndpointSlice", name: "web-x", namespace: "shop" });
  await source.pass(1000);
  assert.deepEqual(source.last.originated, ["10.96.0.0/12"]);
  await source.stop();
});

test("logSeverityScreen sets the level of the log, and its absence gives the own back", async () => {
  const source = new Source([v3("BGPConfiguration", "default", { logSeverityScreen: "Warning" })]);
  await source.pass(1000);
  assert.equal(source.log.level, "warn");
  await source.datastore.delete({ kind: "BGPConfiguration", name: "default" });
  await source.pass(1000);
  assert.equal(source.log.level, "silent");
  await source.stop();
});

test("A node that is drained follows its own workloads, and announces only blocks that hold one", async () => {
  const block = (cidr: string) =>
    v3("BlockAffinity", cidr.replaceAll(/[./]/g, "-"), { node: "a", cidr, state: "confirmed" });
  const source = new Source([
    block("10.244.1.0/26"),
    block("10.244.2.0/26"),
    endpoint("one", "a", "10.244.1.5/32"),
    endpoint("two", "b", "10.244.2.5/32"),
  ]);
  await source.pass(1000);
  assert.deepEqual(source.last.originated, ["10.244.1.0/26", "10.244.2.0/26"]);
  const read = await source.datastore.get<"Node">({ kind: "Node", name: "a" });
  const metadata = { ...read.metadata, annotations: { "tortie.dev/drain": "true" } };
  await source.datastore.update<"Node">({ ...read, metadata });
  await source.pass(1000);
  assert.equal(source.last.draining, true);
  assert.deepEqual(source.last.originated, ["10.244.1.0/26"]);
  await source.datastore.delete({ kind: "WorkloadEndpoint", name: "one", namespace: "default" });
  await source.pass(1000);
  assert.deepEqual(source.last.originated, []);
  await source.stop();
});
