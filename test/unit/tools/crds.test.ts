import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { crdDocuments, crdGroups } from "../../../tools/crds.ts";

for (const group of crdGroups) {
  test(`deploy/crds/${group.name}.yaml is what node tools/generate-crds.ts writes`, () => {
    const path = new URL(`../../../deploy/crds/${group.name}.yaml`, import.meta.url);
    assert.equal(readFileSync(path, "utf8"), crdDocuments(group));
  });
}
