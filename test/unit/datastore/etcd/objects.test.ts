import assert from "node:assert/strict";
import { test } from "node:test";
import { kinds } from "../../../../src/api/kinds.ts";
import { keyOf } from "../../../../src/api/resource-key.ts";
import type { Kind } from "../../../../src/api/resource-of-kind.ts";
import {
  keyOfPath,
  kindPrefixes,
  pathOfResource,
  pathsOfKey,
} from "../../../../src/datastore/etcd/keys.ts";
import { resourceOf, textOfResource } from "../../../../src/datastore/etcd/values.ts";
import { parseBigJson } from "../../../../src/lib/big-json.ts";
import { etcdObjects, otherEtcdKeys } from "../../../vectors/etcd-objects.ts";

for (const { what, key, value, resource, readOnly } of etcdObjects) {
  test(`etcd, read: ${what}`, () => {
    const read = resourceOf(key, value, "7");
    assert.deepEqual(withoutNothing(read), {
      ...resource,
      metadata: { ...resource.metadata, resourceVersion: "7" },
    });
    assert.deepEqual(keyOfPath(key), keyOf(resource));
  });

  if (readOnly === true) continue;
  test(`etcd, written: ${what}`, () => {
    assert.equal(pathOfResource<Kind>(resource), key);
    assert.deepEqual(parseBigJson(textOfResource<Kind>(resource)), parseBigJson(value));
    if (resource.kind !== "IPAMHandle") assert.ok(pathsOfKey(keyOf(resource)).includes(key));
  });
}

test("etcd: keys that hold no resource are passed over", () => {
  for (const key of otherEtcdKeys) assert.equal(keyOfPath(key), undefined, key);
});

test("etcd: every kind of facts 2.1 lies under its plural, IPAM's own elsewhere", () => {
  const ipam = new Set<Kind>(["BlockAffinity", "IPAMBlock", "IPAMConfiguration", "IPAMHandle"]);
  for (const { kind, plural } of Object.values(kinds)) {
    const root = `/calico/resources/v3/projectcalico.org/${plural}/`;
    assert.deepEqual(kindPrefixes(kind).includes(root), !ipam.has(kind), kind);
  }
});

/** That something is not deleted may be said or not. */
function withoutNothing(resource: ReturnType<typeof resourceOf>): unknown {
  if (resource === undefined) return undefined;
  const { deleted, ...spec } = resource.spec as { readonly deleted?: boolean };
  return { ...resource, spec: deleted === false ? spec : resource.spec };
}
