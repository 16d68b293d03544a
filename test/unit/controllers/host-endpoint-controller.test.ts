import assert from "node:assert/strict";
import { test } from "node:test";
import { calicoApiVersion } from "../../../src/api/meta.ts";
import type { HostEndpoint } from "../../../src/api/resources/host-endpoint.ts";
import type { Node, NodeSpec } from "../../../src/api/resources/node.ts";
import {
  autoCreateOf,
  autoHostEndpoints,
  createdBy,
  createdByLabel,
  type HostEndpointConfig,
} from "../../../src/controllers/auto-host-endpoints.ts";
import { hostEndpointController } from "../../../src/controllers/host-endpoint-controller.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";

function node(name: string, spec: NodeSpec = {}, labels: Record<string, string> = {}): Node {
  return { apiVersion: calicoApiVersion, kind: "Node", metadata: { name, labels }, spec };
}

const spec: NodeSpec = {
  bgp: {
    ipv4Address: "192.0.2.1/24",
    ipv6Address: "2001:db8::1/64",
    ipv4IPIPTunnelAddr: "10.0.0.1",
  },
  ipv4VXLANTunnelAddr: "10.0.0.2",
  addresses: [
    { address: "192.0.2.1", type: "InternalIP" },
    { address: "198.51.100.1", type: "InternalIP" },
    { address: "203.0.113.1", type: "ExternalIP" },
    { address: "n1", type: "InternalIP" },
  ],
  interfaces: [
    { name: "eth0", addresses: ["192.0.2.1/24"] },
    { name: "eth1", addresses: ["198.51.100.1/24"] },
  ],
};
const on: HostEndpointConfig = { autoCreate: "Enabled" };
const short = ({ metadata, spec: { interfaceName, expectedIPs } }: HostEndpoint) => ({
  name: metadata.name,
  interfaceName,
  expectedIPs,
});

test("autoHostEndpoints() gives each node one for all interfaces, with its labels and addresses", () => {
  assert.deepEqual(autoHostEndpoints([node("n1", spec, { rack: "a" })], on), [
    {
      apiVersion: calicoApiVersion,
      kind: "HostEndpoint",
      metadata: { name: "n1-auto-hep", labels: { rack: "a", [createdByLabel]: createdBy } },
      spec: {
        node: "n1",
        interfaceName: "*",
        expectedIPs: [...["192.0.2.1", "2001:db8::1", "10.0.0.1", "10.0.0.2", "198.51.100.1"]],
        profiles: ["projectcalico-default-allow"],
      },
    },
  ]);
  assert.deepEqual(autoHostEndpoints([node("n1", spec)], {}), []);
});

test("autoHostEndpoints() gives what templates ask for: by network, by interface, by node", () => {
  const config: HostEndpointConfig = {
    autoCreate: "Enabled",
    createDefaultHostEndpoint: "Disabled",
    templates: [
      { generateName: "front", interfaceCIDRs: ["198.51.100.0/24"], labels: { side: "front" } },
      { generateName: "each", interfacePattern: "^eth", nodeSelector: "rack == 'a'" },
      { generateName: "none", interfaceCIDRs: ["203.0.113.0/24"] },
    ],
  };
  const found = autoHostEndpoints([node("n1", spec, { rack: "a" }), node("n2", {}, {})], config);
  assert.deepEqual(found.map(short), [
    { name: "n1-front-auto-hep", interfaceName: undefined, expectedIPs: ["198.51.100.1"] },
    { name: "n1-each-eth0-auto-hep", interfaceName: "eth0", expectedIPs: ["192.0.2.1"] },
    { name: "n1-each-eth1-auto-hep", interfaceName: "eth1", expectedIPs: ["198.51.100.1"] },
  ]);
  assert.equal(found[0]?.metadata.labels?.["side"], "front");
});

test("autoHostEndpoints() gives a name that a resource may have, whatever the node's", () => {
  const [endpoint] = autoHostEndpoints([node("n".repeat(250))], on);
  assert.match(endpoint?.metadata.name ?? "", /^[0-9a-f]{64}-auto-hep$/);
});

test("autoCreateOf() takes enabled and disabled, and refuses what is neither", () => {
  assert.deepEqual(autoCreateOf("enabled"), { autoCreate: "Enabled" });
  assert.deepEqual(autoCreateOf("Disabled"), { autoCreate: "Disabled" });
  assert.deepEqual([autoCreateOf(undefined), autoCreateOf("")], [{}, {}]);
  assert.throws(() => autoCreateOf("yes"), /AUTO_HOST_ENDPOINTS "yes"/);
});

test("hostEndpointController() keeps them as nodes and configuration change, and others as they are", async (t) => {
  const datastore = new MemoryDatastore();
  const clock = new FakeClock();
  const log = createLogger({ name: "test", level: "silent" });
  const stop = new AbortController();
  const names = async () =>
    (await datastore.list("HostEndpoint")).items.map(({ metadata }) => metadata.name).sort();
  const configure = (config: HostEndpointConfig) => ({
    apiVersion: calicoApiVersion,
    kind: "KubeControllersConfiguration" as const,
    metadata: { name: "default" },
    spec: { controllers: { node: { hostEndpoint: config } } },
  });
  await datastore.create<"HostEndpoint">({
    ...{ apiVersion: calicoApiVersion, kind: "HostEndpoint", metadata: { name: "n2-auto-hep" } },
    spec: { node: "n2", interfaceName: "eth0" },
  });
  const first = await datastore.create<"Node">(node("n1", spec));
  await datastore.create<"Node">(node("n2", spec));
  const ended = hostEndpointController({ datastore, clock, log, override: {} })(stop.signal);
  t.after(async () => {
    stop.abort();
    await ended;
  });
  const pass = () => clock.advanceSlowly(10_000, 500);
  await pass();
  assert.deepEqual(await names(), ["n2-auto-hep"], "switched off");
  const config = await datastore.create<"KubeControllersConfiguration">(configure(on));
  await pass();
  assert.deepEqual(await names(), ["n1-auto-hep", "n2-auto-hep"]);
  const own = await datastore.get({ kind: "HostEndpoint", name: "n2-auto-hep" });
  assert.equal(own.spec.interfaceName, "eth0", "somebody else's");
  await datastore.update<"Node">({ ...first, metadata: { ...first.metadata, labels: { a: "b" } } });
  await pass();
  const labelled = await datastore.get({ kind: "HostEndpoint", name: "n1-auto-hep" });
  assert.equal(labelled.metadata.labels?.["a"], "b");
  await datastore.update<"KubeControllersConfiguration">({ ...config, spec: {} });
  await pass();
  assert.deepEqual(await names(), ["n2-auto-hep"]);
});
