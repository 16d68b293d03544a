import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { deployManifests } from "../../../tools/deploy/manifests.ts";

for (const [file, text] of Object.entries(deployManifests())) {
  test(`deploy/${file} is what node tools/generate-deploy.ts writes`, () => {
    const path = new URL(`../../../deploy/${file}`, import.meta.url);
    assert.equal(readFileSync(path, "utf8"), text);
  });
}
