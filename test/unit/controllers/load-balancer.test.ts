import assert from "node:assert/strict";
import { test } from "node:test";
import type { Service, ServiceSpec } from "../../../src/api/resources/kubernetes.ts";
import { loadBalancerController } from "../../../src/controllers/load-balancer-controller.ts";
import { serviceHandle, serviceWish } from "../../../src/controllers/service-wish.ts";
import { Ipam } from "../../../src/ipam/ipam.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { checkInvariants, createCluster, inUse, pool } from "../ipam/cluster.ts";

type Annotations = Readonly<Record<string, string>>;

const prefix = "projectcalico.org/";
const forBalancers = { allowedUses: ["LoadBalancer"] as const };

function service(name: string, spec: ServiceSpec = {}, annotations: Annotations = {}): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "shop", uid: `uid-${name}`, annotations },
    spec: { type: "LoadBalancer", ipFamilies: ["IPv4"], ...spec },
  };
}

async function running(t: { after(fn: () => Promise<void>): void }) {
  const datastore = new MemoryDatastore();
  const clock = new FakeClock();
  await createCluster(datastore, {
    pools: [
      pool("pods", { cidr: "10.0.0.0/24", blockSize: 28 }),
      pool("public", { cidr: "192.0.2.0/28", blockSize: 28, ...forBalancers }),
      pool("other", {
        cidr: "198.51.100.0/29",
        blockSize: 29,
        assignmentMode: "Manual",
        ...forBalancers,
      }),
      pool("public6", { cidr: "2001:db8::/124", blockSize: 124, ...forBalancers }),
    ],
  });
  const ipam = new Ipam({ datastore, clock, random: () => 0 });
  const log = createLogger({ name: "test", level: "silent" });
  const controller = loadBalancerController({ datastore, ipam, clock, log });
  let office = new AbortController();
  let ended = controller(office.signal);
  const stop = async () => {
    office.abort();
    await ended;
  };
  t.after(stop);
  const key = (name: string) => ({ kind: "Service", name, namespace: "shop" }) as const;
  return {
    datastore,
    ipam,
    removePools: async () => {
      for (const name of ["public", "other", "public6"]) {
        await datastore.delete({ kind: "IPPool", name });
      }
    },
    stop,
    startAgain: () => {
      office = new AbortController();
      ended = controller(office.signal);
    },
    pass: (seconds: number) => clock.advanceSlowly(seconds * 1_000, 500),
    create: (given: Service) => datastore.create<"Service">(given),
    remove: (name: string) => datastore.delete(key(name)),
    change: async (name: string, spec: ServiceSpec, annotations: Annotations = {}) => {
      const was = await datastore.get(key(name));
      const metadata = { ...was.metadata, annotations };
      await datastore.update<"Service">({ ...was, metadata, spec: { ...was.spec, ...spec } });
    },
    ingress: async (name: string) => {
      const { status } = await datastore.get(key(name));
      return (status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip);
    },
    inUse: async () => (await inUse(datastore)).size,
  };
}

test("facts B 24: the handle of a Service's addresses", () => {
  const uid = "3f1b0c9e-5d2a-4c77-9a10-0123456789ab";
  const handle = serviceHandle({ name: "web", namespace: "default", uid });
  assert.equal(handle, "lb-KkxncfWGsOqFSel436RRSIx6nSHdGbnq8HpEJY6KA60");
});

test("facts 3.11: which Services get addresses", () => {
  const asking = { [`${prefix}ipv4pools`]: '["public"]' };
  const cases: readonly (readonly [ServiceSpec, Annotations, all: boolean, asked: boolean])[] = [
    [{}, {}, true, false],
    [{ type: "ClusterIP" }, asking, false, false],
    [{}, asking, true, true],
    [{ loadBalancerClass: "calico" }, {}, true, true],
    [{ loadBalancerClass: "example.com/other" }, {}, false, false],
  ];
  for (const [spec, annotations, all, asked] of cases) {
    const given = service("web", spec, annotations);
    const what = JSON.stringify([spec, annotations]);
    assert.equal(serviceWish(given, "AllServices") !== undefined, all, what);
    assert.equal(serviceWish(given) !== undefined, all, what);
    assert.equal(serviceWish(given, "RequestedServicesOnly") !== undefined, asked, what);
  }
});

test("serviceWish() names the annotation that it cannot use", () => {
  for (const text of ["public", '{"a":1}', "[1]"]) {
    const bad = service("web", {}, { [`${prefix}ipv4pools`]: text });
    assert.throws(() => serviceWish(bad), /annotation projectcalico.org\/ipv4pools .* JSON list/);
  }
  const twice = { [`${prefix}loadBalancerIPs`]: '["192.0.2.1","192.0.2.2"]' };
  assert.throws(() => serviceWish(service("web", {}, twice)), /one address a family/);
});

test("a Service gets an address of each family, from blocks of the load balancers, until it goes", async (t) => {
  const it = await running(t);
  await it.create(service("web", { ipFamilies: ["IPv4", "IPv6"] }));
  await it.pass(5);
  assert.deepEqual(await it.ingress("web"), ["192.0.2.0", "2001:db8::"]);
  const blocks = (await it.datastore.list("IPAMBlock")).items;
  assert.deepEqual(
    blocks.map(({ spec }) => [spec.cidr, spec.affinity]),
    [
      ["192.0.2.0/28", "virtual:load-balancer"],
      ["2001:db8::/124", "virtual:load-balancer"],
    ],
  );
  const [affinity] = (await it.datastore.list("BlockAffinity")).items;
  assert.deepEqual(
    [affinity?.metadata.name, affinity?.spec.node, affinity?.spec.type, affinity?.spec.state],
    ["load-balancer-192-0-2-0-28", "load-balancer", "virtual", "confirmed"],
  );
  const [allocation] = await it.ipam.serviceAllocations();
  const { timestamp: _at, ...attributes } = allocation?.attributes ?? {};
  assert.deepEqual(attributes, { service: "web", namespace: "shop", type: "LoadBalancer" });
  assert.equal(allocation?.handle, serviceHandle(service("web").metadata));
  assert.deepEqual((await it.ipam.audit()).problems, []);
  await checkInvariants(it.datastore, { exact: true });
  await it.remove("web");
  await it.pass(5);
  assert.equal(await it.inUse(), 0);
});

test("a Service of another type, or that is not asked for any more, gives its address back", async (t) => {
  const it = await running(t);
  for (const name of ["a", "b"]) await it.create(service(name));
  await it.pass(5);
  assert.equal(await it.inUse(), 2);
  await it.change("a", { type: "ClusterIP" });
  await it.pass(5);
  assert.deepEqual([await it.ingress("a"), await it.inUse()], [[], 1]);
  await it.datastore.create<"KubeControllersConfiguration">({
    apiVersion: "projectcalico.org/v3",
    kind: "KubeControllersConfiguration",
    metadata: { name: "default" },
    spec: { controllers: { loadBalancer: { assignIPs: "RequestedServicesOnly" } } },
  });
  await it.pass(5);
  assert.deepEqual([await it.ingress("b"), await it.inUse()], [[], 0]);
});

test("annotations say from which pools, also those that nothing is taken from by itself, and which address", async (t) => {
  const it = await running(t);
  await it.create(service("web"));
  await it.pass(5);
  assert.deepEqual(await it.ingress("web"), ["192.0.2.0"]);
  await it.change("web", {}, { [`${prefix}ipv4pools`]: '["other"]' });
  await it.pass(5);
  assert.deepEqual(await it.ingress("web"), ["198.51.100.0"]);
  await it.change("web", {}, { [`${prefix}loadBalancerIPs`]: '["192.0.2.9"]' });
  await it.pass(5);
  assert.deepEqual(await it.ingress("web"), ["192.0.2.9"]);
  assert.equal(await it.inUse(), 1);
  await it.change("web", {}, { [`${prefix}loadBalancerIPs`]: '["10.0.0.9"]' });
  await it.pass(65);
  assert.deepEqual([await it.ingress("web"), await it.inUse()], [[], 0]);
});

test("no Service tells an address that another may get, at any write", async (t) => {
  const it = await running(t);
  await it.create(service("web"));
  await it.pass(5);
  const update = it.datastore.update.bind(it.datastore);
  const untrue: unknown[] = [];
  it.datastore.update = async (resource) => {
    const written = await update(resource);
    const held = (await it.ipam.serviceAllocations()).map(({ address }): string => address);
    untrue.push(...(await it.ingress("web")).filter((ip = "") => !held.includes(ip)));
    return written;
  };
  await it.change("web", {}, { [`${prefix}loadBalancerIPs`]: '["192.0.2.9"]' });
  await it.pass(5);
  assert.deepEqual(await it.ingress("web"), ["192.0.2.9"]);
  await it.change("web", { type: "ClusterIP" });
  await it.pass(5);
  assert.deepEqual([await it.ingress("web"), untrue], [[], []]);
});

test("addresses that others told stay, where there is no pool for load balancers", async (t) => {
  const it = await running(t);
  await it.removePools();
  await it.pass(5);
  const given = service("web");
  const status = { loadBalancer: { ingress: [{ ip: "203.0.113.1" }] } };
  let looks = 0;
  const list = it.datastore.list.bind(it.datastore);
  it.datastore.list = (kind, options) => {
    if (kind === "IPAMBlock") looks++;
    return list(kind, options);
  };
  await it.create({ ...given, status });
  await it.pass(65);
  assert.deepEqual(await it.ingress("web"), ["203.0.113.1"]);
  assert.equal(looks, 0, "blocks are not read");
});

test("a Service that goes after its pool gives its address back", async (t) => {
  const it = await running(t);
  await it.create(service("web"));
  await it.pass(5);
  await it.removePools();
  await it.pass(5);
  assert.equal(await it.inUse(), 1);
  await it.remove("web");
  await it.pass(5);
  assert.equal(await it.inUse(), 0);
});

test("an address that cools down is not a Service's any more", async (t) => {
  const it = await running(t);
  await it.datastore.create<"IPAMConfiguration">({
    apiVersion: "projectcalico.org/v3",
    kind: "IPAMConfiguration",
    metadata: { name: "default" },
    spec: { ipCooldownSeconds: 600 },
  });
  await it.create(service("web"));
  await it.pass(5);
  await it.remove("web");
  await it.pass(5);
  assert.deepEqual(await it.ipam.serviceAllocations(), []);
});

test("one family without a pool does not keep the other from its address", async (t) => {
  const it = await running(t);
  await it.datastore.delete({ kind: "IPPool", name: "public6" });
  await it.create(service("web", { ipFamilies: ["IPv6", "IPv4"] }));
  await it.pass(5);
  assert.deepEqual(await it.ingress("web"), ["192.0.2.0"]);
});

test("a Service that went while another process led gives its address back", async (t) => {
  const it = await running(t);
  for (const name of ["a", "b"]) await it.create(service(name));
  await it.pass(5);
  await it.stop();
  await it.remove("a");
  it.startAgain();
  await it.pass(5);
  assert.deepEqual([await it.ingress("b"), await it.inUse()], [["192.0.2.1"], 1]);
});
