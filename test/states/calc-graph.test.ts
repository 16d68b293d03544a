import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { keyOf, keyText, type ResourceKey } from "../../src/api/resource-key.ts";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import { CalcGraph } from "../../src/felix/calc/calc-graph.ts";
import type { DataplaneUpdate } from "../../src/felix/calc/updates.ts";
import { cpuMsSince } from "../support/cpu-time.ts";
import { steps } from "../support/steps.ts";
import { DataplaneModel } from "./dataplane-model.ts";
import { type FeedStyle, feed, styles } from "./feed.ts";
import {
  allowFrom,
  block,
  globalPolicy,
  me,
  networkSet,
  node,
  pod,
  policy,
  pool,
  profile,
  tier,
  web1,
  webHere,
} from "./resources.ts";
import { states } from "./states.ts";

/** What fails closed, what is malformed, and how long it takes. That every way ends alike: calc-states. */

const plain = styles[0] as FeedStyle;

/** A graph in sync, what its dataplane holds, and the keys that it called invalid. */
function started() {
  const invalid: string[] = [];
  const graph = new CalcGraph({
    nodeName: me,
    onInvalid: (key: ResourceKey, error: unknown) => {
      assert.ok(error instanceof Error);
      invalid.push(keyText(key));
    },
  });
  graph.setInSync();
  const model = new DataplaneModel();
  const take = (): readonly DataplaneUpdate[] => {
    const updates = graph.flush();
    model.take(updates);
    return updates;
  };
  const put = (...resources: readonly AnyResource[]) => {
    for (const resource of resources) graph.update(keyOf(resource), resource);
  };
  return { graph, invalid, model, put, take };
}

function valueIn(updates: readonly DataplaneUpdate[], kind: string, id: string): unknown {
  const found = updates.find((update) => update.kind === kind && update.id === id);
  return found?.op === "set" ? found.value : undefined;
}

test("a profile that is missing denies, until it comes", () => {
  const { put, take, graph } = started();
  put(web1);
  const deny = valueIn(take(), "profile", "kns.prod") as Record<string, { action: string }[]>;
  assert.deepEqual([deny["ingress"]?.[0]?.action, deny["egress"]?.[0]?.action], ["deny", "deny"]);
  put(profile("kns.prod"));
  const allow = valueIn(take(), "profile", "kns.prod") as Record<string, { action: string }[]>;
  assert.equal(allow["ingress"]?.[0]?.action, "allow");
  graph.update(keyOf(profile("kns.prod")), null);
  const again = valueIn(take(), "profile", "kns.prod") as Record<string, { action: string }[]>;
  assert.equal(again["ingress"]?.[0]?.action, "deny");
});

test("a tier that is missing keeps its policies and drops at its end, also one that would pass", () => {
  const { put, take, graph } = started();
  const pass = tier("t", { order: 1, defaultAction: "Pass" });
  put(...webHere, pass, globalPolicy("t.p", { tier: "t", selector: "all()" }));
  const tiers = () =>
    (valueIn(take(), "workloadEndpoint", "prod/web1") as { tiers: object[] }).tiers;
  const expected = { name: "t", ingress: ["gnp/t.p"], egress: [] };
  assert.deepEqual(tiers(), [{ ...expected, defaultAction: "Pass" }]);
  graph.update(keyOf(pass), null);
  assert.deepEqual(tiers(), [{ ...expected, defaultAction: "Deny" }]);
});

const selectNobody: readonly (readonly [string, AnyResource])[] = [
  ["a selector that cannot be parsed", globalPolicy("p", { selector: "app ==" })],
  ["a namespace selector that cannot be parsed", globalPolicy("p", { namespaceSelector: "((" })],
];

for (const stage of ["doNotTrack", "preDNAT"] as const) {
  test(`a policy with ${stage} is for hosts: a workload has no tier of it`, () => {
    const { put, take } = started();
    put(...webHere, globalPolicy("p", { selector: "all()", [stage]: true }));
    const endpoint = valueIn(take(), "workloadEndpoint", "prod/web1") as { tiers: object[] };
    assert.deepEqual(endpoint.tiers, []);
  });
}

for (const [what, wrong] of selectNobody) {
  test(`a policy with ${what} selects nobody, and gives up whom it had selected`, () => {
    const { put, take, model } = started();
    put(...webHere);
    take();
    const without = model.text();
    put(globalPolicy("p", { selector: "all()" }));
    take();
    assert.notEqual(model.text(), without);
    put(wrong);
    take();
    assert.equal(model.text(), without);
  });
}

/** An object of the kind with this spec, whatever the types say. */
function malformed(good: AnyResource, spec: unknown, metadata: object = {}): AnyResource {
  return { ...good, metadata: { ...good.metadata, ...metadata }, spec } as AnyResource;
}

const [goodNode, goodPool] = [node("node-b", "192.168.1.12/24"), pool("p", "10.0.0.0/16")];
const goodBlock = block("10.0.0.8/29", "node-b", { 1: me });
const goodPolicy = policy("x", { selector: "all()" });
const spec = (resource: AnyResource, more: object) => ({ ...resource.spec, ...more });

const malformedRows: readonly (readonly [string, AnyResource, AnyResource])[] = [
  ["endpoint: no CIDR", web1, malformed(web1, spec(web1, { ipNetworks: ["10.0.0.1/33"] }))],
  ["endpoint: one of two", web1, malformed(web1, spec(web1, { ipNetworks: ["10.0.0.1", "x"] }))],
  ["endpoint: addresses are text", web1, malformed(web1, spec(web1, { ipNetworks: "10.0.0.1" }))],
  ["endpoint: MAC", web1, malformed(web1, spec(web1, { mac: "02:00" }))],
  ["endpoint: profiles", web1, malformed(web1, spec(web1, { profiles: "kns.prod" }))],
  ["endpoint: ports", web1, malformed(web1, spec(web1, { ports: [null] }))],
  ["endpoint: sources", web1, malformed(web1, spec(web1, { allowSpoofedSourcePrefixes: ["x"] }))],
  ["endpoint: labels", web1, malformed(web1, web1.spec, { labels: { app: 7 } })],
  ["endpoint: no spec", web1, malformed(web1, undefined)],
  ["node: address", goodNode, node("node-b", "192.168.1.300/24")],
  ["node: length", goodNode, node("node-b", "192.168.1.12/240")],
  ["node: addresses", goodNode, malformed(goodNode, { addresses: [{ type: "InternalIP" }] })],
  [
    "node: MAC",
    goodNode,
    node("node-b", "192.168.1.12/24", { ipv4VXLANTunnelAddr: "10.0.0.8", vxlanTunnelMACAddr: "x" }),
  ],
  ["node: no spec", goodNode, malformed(goodNode, null)],
  ["pool: no CIDR", goodPool, pool("p", "ten")],
  ["pool: host bits", goodPool, pool("p", "10.0.0.1/16")],
  ["pool: missing CIDR", goodPool, malformed(goodPool, {})],
  ["block: CIDR", goodBlock, malformed(goodBlock, spec(goodBlock, { cidr: "10.0.0.8/99" }))],
  ["block: no attributes", goodBlock, malformed(goodBlock, spec(goodBlock, { attributes: null }))],
  ["policy: rules", goodPolicy, malformed(goodPolicy, { ingress: { action: "Allow" } })],
  ["policy: an empty rule", goodPolicy, malformed(goodPolicy, { ingress: [null] })],
  ["policy: no spec", goodPolicy, malformed(goodPolicy, undefined)],
  [
    "profile: labels",
    profile("kns.prod"),
    malformed(profile("kns.prod"), { labelsToApply: { a: 1 } }),
  ],
  ["profile: rules", profile("kns.prod"), malformed(profile("kns.prod"), { egress: "Allow" })],
  ["tier: no spec", tier("default", { order: 1 }), malformed(tier("default", {}), null)],
];

for (const [what, good, bad] of malformedRows) {
  test(`malformed ${what}: it counts as absent, is reported, and comes back when it is good`, () => {
    const others = [web1, goodNode, goodPool, goodBlock, goodPolicy, profile("kns.prod")].filter(
      (other) => keyText(keyOf(other)) !== keyText(keyOf(good)),
    );
    const absent = feed([others], plain);
    const present = feed([[...others, good]], plain);
    const { put, take, model, invalid } = started();
    put(bad, ...others);
    take();
    assert.equal(model.text(), absent, "from the start");
    put(good);
    take();
    assert.equal(model.text(), present, "when it is good");
    put(bad);
    take();
    assert.equal(model.text(), absent, "when it turns bad");
    const key = keyText(keyOf(good));
    assert.deepEqual(invalid, [key, key]);
  });
}

test("malformed objects on the way change nothing of where any sequence of states ends", () => {
  const bad = malformedRows.map(([, , resource]) => resource);
  fc.assert(
    fc.property(
      fc.constantFrom(...states),
      fc.array(fc.constantFrom(...bad), { maxLength: 4 }),
      fc.constantFrom(...styles),
      ({ resources }, detour, style) => {
        assert.equal(feed([detour, resources], style), feed([resources], plain));
      },
    ),
    { numRuns: 200 },
  );
});

test("the graph works without anybody who listens for what is invalid", () => {
  const graph = new CalcGraph({ nodeName: me });
  const bad = pool("p", "ten");
  assert.doesNotThrow(() => graph.update(keyOf(bad), bad));
});

/** 50 namespaces of 100 pods, 20 policies each; every pod on this node would be the worst case. */
function* bigCluster(pods: number, policies: number): Generator<AnyResource> {
  const namespaces = 50;
  for (let i = 0; i < namespaces; i++) yield profile(`kns.ns${i}`);
  for (let i = 0; i < policies; i++) {
    yield policy(
      `p${i}`,
      {
        order: i,
        selector: `app == 'app${i % 20}'`,
        ...allowFrom({ selector: `app == 'app${(i + 1) % 20}'` }),
      },
      `ns${i % namespaces}`,
    );
  }
  for (let i = 0; i < pods; i++) {
    yield pod(`pod${i}`, {
      ip: `10.${i >> 8}.${i & 255}.1/32`,
      namespace: `ns${i % namespaces}`,
      node: i % 50 === 0 ? me : `node${i % 50}`,
      labels: { app: `app${(i >> 3) % 20}`, "projectcalico.org/namespace": `ns${i % namespaces}` },
    });
  }
}

/** Processor time from nothing to the first flush, and for 100 pods that come again with new labels. */
function timed(pods: number, policies: number): { readonly first: number; readonly churn: number } {
  const { put, take } = started();
  const resources = [...bigCluster(pods, policies)];
  const start = process.cpuUsage();
  put(...resources);
  assert.ok(take().length > 0);
  const first = cpuMsSince(start);
  const middle = process.cpuUsage();
  for (const resource of resources.slice(-100)) {
    const labels = { ...resource.metadata.labels, app: "app1" };
    put({ ...resource, metadata: { ...resource.metadata, labels } } as AnyResource);
    take();
  }
  return { first, churn: cpuMsSince(middle) };
}

test("5,000 endpoints and 1,000 policies take a second or two, a change a few milliseconds", () => {
  timed(500, 100);
  const { first, churn } = timed(5_000, 1_000);
  // Measured: 150 ms, and twice that for twice as many. Each on each would be five million.
  assert.ok(first < 5_000, `${first} ms from nothing`);
  assert.ok(churn < 2_000, `${churn} ms for 100 changes`);
});

test("a set of twenty thousand is counted in many turns, with updates between them", () => {
  const { graph, put, take } = started();
  const nets = (i: number) =>
    Array.from({ length: 1000 }, (_, k) => `10.${i}.${k >> 8}.${k % 256}/32`);
  const labels = { role: "many" };
  put(...webHere);
  for (let i = 0; i < 20; i++) put(networkSet(`set${i}`, nets(i), { labels }));
  put(
    globalPolicy("p", {
      ingress: [{ action: "Deny", source: { selector: "role == 'many'" } }],
    }),
  );
  let turns = 0;
  graph.begin();
  for (; !graph.work(steps(5)); turns++, graph.begin()) {
    if (turns === 1) graph.update({ kind: "GlobalNetworkSet", name: "set0" }, null);
    if (turns === 2) put(networkSet("set1", ["192.0.2.1"], { labels }));
  }
  assert.ok(turns >= 3, `${turns} turns`);
  const set = take().find(({ kind }) => kind === "ipSet");
  assert(set?.op === "set" && set.kind === "ipSet");
  assert.equal(set.value.members.size, 18_001);
  assert.ok(!set.value.members.has("10.0.0.0/32") && set.value.members.has("192.0.2.1/32"));
});
