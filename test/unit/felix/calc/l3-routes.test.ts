import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { IPAMBlock } from "../../../../src/api/resources/ipam.ts";
import { hostAddresses, L3Routes } from "../../../../src/felix/calc/l3-routes.ts";
import type { ClusterRoute } from "../../../../src/felix/calc/updates.ts";
import type { Prefix } from "../../../../src/lib/prefix.ts";
import { unlimited } from "../../../../src/lib/time-slice.ts";
import { block, me, node, pod, pool } from "../../../states/resources.ts";
import { cpuMsSince } from "../../../support/cpu-time.ts";

/** Routes as told last, and which CIDRs each flush told of. */
class World {
  readonly routes = new Map<string, ClusterRoute>();
  #told: string[] = [];
  readonly #calc = new L3Routes(me, (cidr, route) => {
    this.#told.push(cidr);
    if (route === null) this.routes.delete(cidr);
    else this.routes.set(cidr, route);
  });

  node(name: string, address: string | null, spec: Parameters<typeof node>[2] = {}): this {
    this.#calc.setNode(name, address === null ? null : node(name, address, spec));
    return this;
  }

  pool(name: string, cidr: string | null, spec: Parameters<typeof pool>[2] = {}): this {
    this.#calc.setPool(`pool/${name}`, cidr === null ? null : pool(name, cidr, spec));
    return this;
  }

  block(cidr: string, owner?: string | null, users: Readonly<Record<number, string>> = {}): this {
    const value = owner === null ? null : block(cidr, owner, users);
    return this.rawBlock(cidr, value);
  }

  rawBlock(cidr: string, value: IPAMBlock | null): this {
    this.#calc.setBlock(`block/${cidr}`, value);
    return this;
  }

  pod(name: string, ip: string | null, on = me): this {
    this.#calc.setEndpoint(`pod/${name}`, ip === null ? null : pod(name, { ip, node: on }));
    return this;
  }

  flush(): string[] {
    this.#told = [];
    this.#calc.work(unlimited);
    return this.#told.toSorted();
  }

  /** One line: types, class, node and its address, and what is true of it. */
  line(cidr: string): string | undefined {
    this.flush();
    const route = this.routes.get(cidr);
    if (route === undefined) return undefined;
    const marks = (["sameSubnet", "natOutgoing", "localWorkload", "borrowed"] as const).filter(
      (mark) => route[mark],
    );
    const { types, poolClass, node: at, nodeAddress } = route;
    return [[...types].sort().join("+") || "-", poolClass, at, nodeAddress, ...marks]
      .filter((word) => word !== undefined)
      .join(" ");
  }
}

/** Facts 4.15: me is 192.168.1.11/24. */
function cluster(): World {
  return new World()
    .node(me, "192.168.1.11/24")
    .node("near", "192.168.1.12/24")
    .node("far", "192.168.2.13/24");
}

const decisions: readonly (readonly [string, Parameters<typeof pool>[2], string, string])[] = [
  [
    "vxlan, same subnet",
    { vxlanMode: "CrossSubnet" },
    "near",
    "remoteWorkload vxlan near 192.168.1.12 sameSubnet natOutgoing",
  ],
  [
    "vxlan, other subnet",
    { vxlanMode: "CrossSubnet" },
    "far",
    "remoteWorkload vxlan far 192.168.2.13 natOutgoing",
  ],
  [
    "ipip, same subnet",
    { ipipMode: "CrossSubnet" },
    "near",
    "remoteWorkload ipip near 192.168.1.12 sameSubnet natOutgoing",
  ],
  [
    "ipip, other subnet",
    { ipipMode: "CrossSubnet" },
    "far",
    "remoteWorkload ipip far 192.168.2.13 natOutgoing",
  ],
  [
    "vxlan always is never the same subnet",
    { vxlanMode: "Always" },
    "near",
    "remoteWorkload vxlan near 192.168.1.12 natOutgoing",
  ],
  ["no encapsulation", { natOutgoing: false }, "far", "remoteWorkload noEncap far 192.168.2.13"],
  [
    "modes that are empty text",
    { vxlanMode: "" as "Never", ipipMode: "" as "Never" },
    "far",
    "remoteWorkload noEncap far 192.168.2.13 natOutgoing",
  ],
  [
    "a pool for load balancers only",
    { allowedUses: ["LoadBalancer"] },
    "far",
    "remoteWorkload none far 192.168.2.13 natOutgoing",
  ],
  [
    "my own block",
    { vxlanMode: "CrossSubnet" },
    me,
    `localWorkload vxlan ${me} 192.168.1.11 sameSubnet natOutgoing`,
  ],
  [
    "a node that is not known",
    { vxlanMode: "CrossSubnet" },
    "unknown",
    "remoteWorkload vxlan unknown natOutgoing",
  ],
];

for (const [what, spec, owner, expected] of decisions) {
  test(`decision table: ${what}`, () => {
    const world = cluster().pool("p", "10.0.0.0/16", spec).block("10.0.1.0/29", owner);
    assert.equal(world.line("10.0.1.0/29"), expected);
  });
}

test("a borrowed address is a route of its own, to the node that uses it", () => {
  const world = cluster()
    .pool("p", "10.0.0.0/16", { vxlanMode: "Always" })
    .block("10.0.1.0/29", "near", { 1: "near", 2: "far", 3: me });
  assert.equal(
    world.line("10.0.1.2/32"),
    "remoteWorkload vxlan far 192.168.2.13 natOutgoing borrowed",
  );
  assert.equal(
    world.line("10.0.1.3/32"),
    `localWorkload vxlan ${me} 192.168.1.11 natOutgoing localWorkload borrowed`,
  );
  assert.equal(world.line("10.0.1.1/32"), undefined);
  world.block("10.0.1.0/29", "near", { 1: "near" });
  assert.equal(world.line("10.0.1.2/32"), undefined);
});

test("an address that waits for its reuse is nobody's", () => {
  const used = block("10.0.1.0/29", "near", { 2: "far" });
  const released = {
    ...used,
    spec: {
      ...used.spec,
      attributes: used.spec.attributes.map((one) => ({
        ...one,
        releasedAt: "2026-01-01T00:00:00Z",
      })),
    },
  } as IPAMBlock;
  const world = cluster().rawBlock("10.0.1.0/29", released);
  assert.equal(world.line("10.0.1.2/32"), undefined);
});

test("a node's own address inside a pool and a block is a host, no workload", () => {
  const world = cluster()
    .pool("p", "10.0.0.0/16", { vxlanMode: "Always" })
    .block("10.0.1.0/29", "near")
    .node("near", "10.0.1.4/24");
  assert.equal(world.line("10.0.1.4/32"), "remoteHost vxlan near 10.0.1.4 natOutgoing");
});

test("a node's own address that is a whole block is a host, no workload", () => {
  const world = cluster().block("10.0.1.4/32", "near").node("near", "10.0.1.4/24");
  assert.equal(world.line("10.0.1.4/32"), "remoteHost none near 10.0.1.4");
});

test("a tunnel address inside a block is a tunnel, and no workload", () => {
  const world = cluster()
    .pool("p", "10.0.0.0/16", { vxlanMode: "Always" })
    .block("10.0.1.0/29", "near", { 0: "near" })
    .block("10.0.2.0/29", me)
    .node("near", "192.168.1.12/24", { ipv4VXLANTunnelAddr: "10.0.1.0" })
    .node(me, "192.168.1.11/24", { ipv4VXLANTunnelAddr: "10.0.2.0" });
  assert.equal(world.line("10.0.1.0/32"), "remoteTunnel vxlan near 192.168.1.12 natOutgoing");
  assert.equal(world.line("10.0.2.0/32"), `localTunnel vxlan ${me} 192.168.1.11 natOutgoing`);
});

test("a borrowed tunnel address is both, and borrowed", () => {
  const world = cluster()
    .pool("p", "10.0.0.0/16", { vxlanMode: "Always" })
    .block("10.0.1.0/29", "near", { 3: "far" })
    .node("far", "192.168.2.13/24", { ipv4VXLANTunnelAddr: "10.0.1.3" });
  assert.equal(
    world.line("10.0.1.3/32"),
    "remoteTunnel+remoteWorkload vxlan far 192.168.2.13 natOutgoing borrowed",
  );
});

test("my mask decides what is the same subnet, also when it changes", () => {
  const world = cluster()
    .pool("p", "10.0.0.0/16", { vxlanMode: "CrossSubnet" })
    .block("10.0.1.0/29", "far");
  world.flush();
  world.node(me, "192.168.1.11/16");
  assert.match(world.line("10.0.1.0/29") ?? "", /sameSubnet/);
  world.node("far", "192.168.2.13/32");
  assert.match(world.line("10.0.1.0/29") ?? "", /sameSubnet/);
  world.node(me, "192.168.1.11/24");
  assert.doesNotMatch(world.line("10.0.1.0/29") ?? "", /sameSubnet/);
  world.node(me, null);
  assert.doesNotMatch(world.line("10.0.1.0/29") ?? "", /sameSubnet/);
});

test("a node that moves changes the routes to it, and no other", () => {
  const world = cluster().block("10.0.1.0/29", "near").block("10.0.2.0/29", "far", { 1: "near" });
  world.flush();
  world.node("near", "192.168.1.99/24");
  assert.deepEqual(world.flush(), [
    "10.0.1.0/29",
    "10.0.2.1/32",
    "192.168.1.12/32",
    "192.168.1.99/32",
  ]);
  assert.equal(world.routes.get("10.0.2.1/32")?.nodeAddress, "192.168.1.99");
  assert.equal(world.routes.has("192.168.1.12/32"), false);
  world.block("10.0.1.0/29", null).node("near", "192.168.1.98/24");
  world.flush();
  world.node("near", "192.168.1.97/24");
  assert.equal(world.flush().includes("10.0.1.0/29"), false);
});

test("a CIDR that names a node twice still follows it when one of the two is gone", () => {
  const tunnel = { ipv4VXLANTunnelAddr: "10.0.2.1" };
  const world = cluster()
    .block("10.0.2.0/29", "far", { 1: "near" })
    .node("near", "192.168.1.12/24", tunnel)
    .node("near", "192.168.1.12/24");
  world.flush();
  world.node("near", "192.168.1.99/24");
  assert.match(world.line("10.0.2.1/32") ?? "", /^remoteWorkload none near 192\.168\.1\.99/);
});

test("a pool that comes later takes its blocks in, the narrower one last, and lets them go", () => {
  const world = cluster().block("10.0.1.0/29", "far");
  assert.equal(world.line("10.0.1.0/29"), "remoteWorkload none far 192.168.2.13");
  world.pool("wide", "10.0.0.0/16", { ipipMode: "Always" });
  assert.equal(world.line("10.0.1.0/29"), "remoteWorkload ipip far 192.168.2.13 natOutgoing");
  world.pool("narrow", "10.0.1.0/24", { vxlanMode: "Always", natOutgoing: false });
  assert.equal(world.line("10.0.1.0/29"), "remoteWorkload vxlan far 192.168.2.13 natOutgoing");
  world.pool("wide", "10.9.0.0/16");
  assert.equal(world.line("10.0.1.0/29"), "remoteWorkload vxlan far 192.168.2.13");
  world.pool("narrow", null);
  assert.equal(world.line("10.0.1.0/29"), "remoteWorkload none far 192.168.2.13");
});

test("a local pod's address is its own, a remote pod's is its block's", () => {
  const world = cluster()
    .block("10.0.2.0/29", me)
    .pod("here", "10.0.2.1/32")
    .pod("there", "10.0.1.1/32", "near");
  assert.match(world.line("10.0.2.1/32") ?? "", /^localWorkload none .* localWorkload$/);
  assert.equal(world.line("10.0.1.1/32"), undefined);
  world.pod("twin", "10.0.2.1/32").pod("here", null);
  assert.match(world.line("10.0.2.1/32") ?? "", /localWorkload$/);
  world.pod("twin", "10.0.2.1/32", "near");
  assert.equal(world.line("10.0.2.1/32"), undefined);
});

test("an address that a node or a pod has already had tells of no route", () => {
  const world = cluster().block("10.0.2.0/29", me, { 0: me }).block("10.0.1.0/29", "near");
  world.pod("here", "10.0.2.1/32").flush();
  world.block("10.0.2.0/29", me, { 0: me, 1: me }).pod("here", "10.0.2.1/32");
  assert.deepEqual(world.flush(), []);
  world.block("10.0.2.0/29", me, { 0: me, 1: "near" });
  assert.ok(world.flush().includes("10.0.2.1/32"));
  world.block("10.0.2.0/29", "near", { 0: me, 1: "near" });
  assert.ok(world.flush().includes("10.0.2.0/29"));
  world.block("10.0.2.0/29", "near").flush();
  world.block("10.0.2.0/29", me);
  assert.ok(world.flush().includes("10.0.2.0/29"), "an empty block moves");
});

test("where endpoints say for themselves where they are, one that moves to another node tells so", () => {
  const told: (string | undefined)[] = [];
  const calc = new L3Routes(me, (_cidr, route) => told.push(route?.node), "WorkloadIPs");
  for (const node of ["near", "far", "far"]) {
    calc.setEndpoint("pod/a", pod("a", { ip: "10.0.2.1/32", node }));
    calc.work(unlimited);
  }
  assert.deepEqual(told, ["near", "far"]);
});

test("blocks without a node, of another kind of affinity, or deleted are no routes", () => {
  const world = cluster().block("10.0.1.0/29").block("10.0.2.0/29", "near");
  const { spec, ...rest } = block("10.0.2.0/29", "near");
  world.rawBlock("10.0.2.0/29", { ...rest, spec: { ...spec, deleted: true } });
  const virtual = { ...rest, spec: { ...spec, affinity: "virtual:load-balancer" } };
  world.rawBlock("10.0.3.0/29", virtual as IPAMBlock);
  assert.deepEqual(
    world.flush().filter((cidr) => world.routes.has(cidr) && cidr.startsWith("10.0.")),
    [],
  );
});

test("everything removed leaves nothing", () => {
  const world = cluster()
    .pool("p", "10.0.0.0/16", { vxlanMode: "CrossSubnet" })
    .pool("v6", "fd00::/48")
    .block("10.0.1.0/29", "near", { 1: me, 2: "far" })
    .block("fd00::/125", "far", { 1: me })
    .pod("a", "10.0.1.1/32")
    .node("near", "192.168.1.12/24", { ipv4VXLANTunnelAddr: "10.0.1.0" });
  world.flush();
  assert.ok(world.routes.size >= 9);
  for (const name of [me, "near", "far"]) world.node(name, null);
  world.pod("a", null).block("fd00::/125", null).block("10.0.1.0/29", null);
  world.pool("p", null).pool("v6", null);
  world.flush();
  assert.deepEqual([...world.routes.keys()], [] as Prefix[]);
});

test("hostAddresses() takes the BGP address, else InternalIP, else ExternalIP, of each family", () => {
  const addresses = [
    { address: "host.example", type: "Hostname" },
    { address: "203.0.113.1", type: "ExternalIP" },
    { address: "10.0.0.1", type: "InternalIP" },
    { address: "10.0.0.2", type: "InternalIP" },
    { address: "2001:db8::1", type: "ExternalIP" },
  ];
  const of = (address: string) => hostAddresses(node("n", address, { addresses }));
  assert.deepEqual(of("192.0.2.1/24").v4, { address: "192.0.2.1", length: 24 });
  assert.deepEqual(of("").v4, { address: "10.0.0.1", length: 32 });
  assert.deepEqual(of("").v6, { address: "2001:db8::1", length: 128 });
  assert.deepEqual(hostAddresses(node("n", "", { bgp: {} })), {});
});

test("nodes that arrive one by one do not each cost a look at every route", () => {
  const world = new World().node(me, "10.255.255.1/16");
  const started = process.cpuUsage();
  for (let i = 0; i < 5_000; i++) {
    const [high, low] = [i >> 8, i & 255];
    world.block(`10.${high}.${low}.0/29`, `n${i}`);
    world.node(`n${i}`, `172.16.${high}.${low}/16`);
  }
  world.flush();
  assert.ok(world.routes.size > 10_000);
  // With a look at every route for every node: 75 million, tens of seconds.
  const took = cpuMsSince(started);
  assert.ok(took < 5_000, `${took} ms`);
});
