import assert from "node:assert/strict";
import { test } from "node:test";
import { kinds } from "../../src/api/kinds.ts";
import {
  type ApiGroup,
  collectionPath,
  customCollection,
  customKinds,
} from "../../src/datastore/kubernetes/collections.ts";
import { specToStore } from "../../src/datastore/kubernetes/custom-spec.ts";
import type { KubeApiServer } from "../support/kube-apiserver.ts";
import { waitFor } from "../support/wait-for.ts";
import { wholeSpecs } from "../unit/api/whole-specs.ts";

const groups: readonly ApiGroup[] = ["crd.projectcalico.org/v1", "projectcalico.org/v3"];
const crdsPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

interface Crd {
  readonly metadata: { readonly name: string };
  readonly status: { readonly conditions: readonly { type: string; status: string }[] };
}
interface Stored {
  readonly metadata: object;
  readonly spec: Readonly<Record<string, unknown>>;
}

export function kubernetesCrds(server: KubeApiServer): void {
  test("kubernetes: every CRD of both groups is established, its schema structural", async () => {
    const count = groups.length * customKinds.length;
    const found = new Map<string, string>();
    await waitFor(async () => {
      const { items } = (await server.must("GET", crdsPath)) as { items: readonly Crd[] };
      for (const { metadata, status } of items) {
        const conditions = status.conditions.map(({ type, status: is }) => `${type} ${is}`);
        found.set(metadata.name, conditions.sort().join(", "));
      }
      return [...found.values()].every((text) => text.includes("Established True"));
    });
    assert.equal(found.size, count);
    for (const [name, text] of found) {
      assert.equal(text, "Established True, NamesAccepted True", name);
    }
  });

  for (const group of groups) {
    test(`kubernetes: ${group} takes every field of every kind, and keeps one that it does not know`, async () => {
      for (const kind of customKinds) await checkKind(server, kind, group);
    });

    test(`kubernetes: ${group} refuses a field of the wrong type, and names it`, async () => {
      for (const kind of customKinds) {
        const { spec } = wholeSpecs[kind];
        const [[field, value] = ["", ""]] = Object.entries(spec);
        const isMap = typeof value === "object" && !Array.isArray(value);
        const wrong = { ...spec, [field]: isMap ? "a text" : { not: "this" } };
        const { status, text } = await post(server, kind, group, wrong);
        assert.equal(status, 422, `${kind}: ${text}`);
        assert.match(text, new RegExp(`spec\\.${field}`), kind);
      }
    });
  }
}

type CustomKind = (typeof customKinds)[number];

/** Created, read and written again: the same, with a field more at the top and one deep inside. */
async function checkKind(server: KubeApiServer, kind: CustomKind, group: ApiGroup): Promise<void> {
  const whole = specToStore(kind, wholeSpecs[kind].spec, group);
  const nested = Object.entries(whole).map(([name, value]) => [name, withUnknown(value)] as const);
  const spec = { ...Object.fromEntries(nested), fromTheFuture: { a: [1] } };
  const { status, text } = await post(server, kind, group, spec);
  assert.equal(status, 201, `${kind}: ${text}`);
  const created = JSON.parse(text) as Stored;
  assert.deepEqual(created.spec, spec, kind);
  const path = `${pathOf(kind, group)}/${nameOf(kind)}`;
  const changed = { ...created, metadata: { ...created.metadata, labels: { seen: "yes" } } };
  const updated = (await server.must("PUT", path, changed)) as Stored;
  assert.deepEqual(updated.spec, spec, kind);
}

/** Objects in the first array, and objects, have a field more. */
function withUnknown(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map((item) =>
      typeof item === "object" && item !== null ? withUnknown(item) : item,
    );
  }
  const isFree = typeof value !== "object" || value === null;
  if (isFree || Object.values(value).some((inner) => typeof inner === "number")) return value;
  return { ...value, fromTheFuture: "kept" };
}

async function post(server: KubeApiServer, kind: CustomKind, group: ApiGroup, spec: object) {
  const { kind: stored } = customCollection(kind, group);
  const metadata = { name: nameOf(kind) };
  return server.request("POST", pathOf(kind, group), {
    apiVersion: group,
    kind: stored,
    metadata,
    spec,
  });
}

function nameOf(kind: CustomKind): string {
  return wholeSpecs[kind].name ?? "whole";
}

function pathOf(kind: CustomKind, group: ApiGroup): string {
  const namespace = kinds[kind].namespaced ? "default" : undefined;
  return collectionPath(customCollection(kind, group), namespace);
}
