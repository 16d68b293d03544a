import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeManifest, readManifest } from "../../../src/api/manifest.ts";

const pool = (name: string, spec: object = { cidr: "10.0.0.0/16" }) => ({
  apiVersion: "projectcalico.org/v3",
  kind: "IPPool",
  metadata: { name },
  spec,
});

const policy = (name: string, namespace?: string) => ({
  apiVersion: "projectcalico.org/v3",
  kind: "NetworkPolicy",
  metadata: namespace === undefined ? { name } : { name, namespace },
});

test("decodeManifest() expands lists, of lists too, and fills in their kind", () => {
  const list = {
    apiVersion: "v1",
    kind: "List",
    items: [
      { apiVersion: "projectcalico.org/v3", kind: "IPPoolList", items: [pool("a")] },
      policy("b"),
      {
        apiVersion: "projectcalico.org/v3",
        kind: "TierList",
        items: [{ metadata: { name: "c" } }],
      },
    ],
  };
  assert.deepEqual(
    decodeManifest(list).map(({ as }) => as),
    [
      { kind: "IPPool", name: "a" },
      { kind: "NetworkPolicy", name: "b", namespace: "default" },
      { kind: "Tier", name: "c" },
    ],
  );
});

test("decodeManifest() takes an array, which is how several objects are printed", () => {
  const entries = decodeManifest([pool("a"), [pool("b")]]);
  assert.deepEqual(
    entries.map(({ as }) => as.name),
    ["a", "b"],
  );
});

test("decodeManifest() takes a Kubernetes NetworkPolicy under its own name", () => {
  const [entry, ...rest] = decodeManifest({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "allow-web", namespace: "shop" },
    spec: { podSelector: {} },
  });
  assert.deepEqual(rest, []);
  assert.deepEqual(entry?.as, { kind: "NetworkPolicy", name: "allow-web", namespace: "shop" });
  assert.equal(entry?.resource.metadata.name, "knp.default.allow-web");
  assert.equal(entry?.resource.metadata.namespace, "shop");
});

test("decodeManifest() makes two profiles of a Namespace", () => {
  const entries = decodeManifest({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: "shop", labels: { team: "a" } },
  });
  assert.deepEqual(
    entries.map(({ resource, as }) => [resource.metadata.name, as.kind, as.name]),
    [
      ["kns.shop", "Namespace", "shop"],
      ["ksa.shop.default", "Namespace", "shop"],
    ],
  );
});

test("readManifest() keeps a value that is not acceptable to its own item", () => {
  const items = readManifest({
    kind: "List",
    items: [pool("a", { cidr: "10.0.0.0/99" }), pool("b")],
  });
  assert.deepEqual(
    items.map(({ resources, problem }) => [resources.length, problem?.message]),
    [
      [
        0,
        'Cannot accept IPPool "a": spec.cidr: Cannot parse prefix "10.0.0.0/99": its length must be 0 to 32',
      ],
      [1, undefined],
    ],
  );
  assert.throws(() => decodeManifest(pool("a", { cidr: "x" })), { name: "InputError" });
});

const refusedWhole: readonly (readonly [input: unknown, message: RegExp])[] = [
  ["text", /Cannot accept this: must be an object, got "text"/],
  [{ apiVersion: "v1", kind: "Pod", metadata: { name: "p" } }, /Pod "p": kind: "Pod" is not known/],
  [{ kind: "List" }, /List: items: must be an array, got undefined/],
  [{ ...pool("a"), sepc: {} }, /IPPool "a": sepc: unknown field/],
  [pool("a", { cidr: 5 }), /IPPool "a": spec.cidr: must be a string, got 5/],
  [
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "a" },
      spec: { podSelector: {}, ingres: [] },
    },
    /NetworkPolicy "a": spec.ingres: unknown field/,
  ],
  [
    { apiVersion: "extensions/v1beta1", kind: "NetworkPolicy", metadata: { name: "a" } },
    /apiVersion: must be projectcalico.org\/v3, got "extensions\/v1beta1"/,
  ],
];

for (const [input, message] of refusedWhole) {
  test(`readManifest() refuses ${message.source.slice(0, 70)}`, () => {
    assert.throws(() => readManifest(input), { name: "InputError", message });
  });
}

test("readManifest() fills in the namespace of -n, and refuses another", () => {
  const read = (input: unknown, namespace?: string) =>
    readManifest(input, namespace === undefined ? {} : { namespace })[0];
  assert.equal(read(policy("a"), "shop")?.resources[0]?.metadata.namespace, "shop");
  assert.equal(read(policy("a", "shop"), "shop")?.problem, undefined);
  assert.equal(read(policy("a", "shop"))?.as.namespace, "shop");
  assert.match(String(read(policy("a", "shop"), "other")?.problem), /is "shop", -n is "other"/);
  assert.match(String(read(pool("a"), "shop")?.problem), /IPPool is not namespaced/);
});

test("readManifest() drops the Kubernetes text of a policy that was rewritten in our form", () => {
  const [item] = readManifest({
    ...policy("knp.default.a"),
    metadata: {
      name: "knp.default.a",
      annotations: { "tortie/kubernetes-spec": "{}", other: "kept" },
    },
  });
  assert.deepEqual(item?.resources[0]?.metadata.annotations, { other: "kept" });
});
