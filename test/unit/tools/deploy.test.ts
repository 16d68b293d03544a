import assert from "node:assert/strict";
import { lstatSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { deployManifests } from "../../../tools/deploy/manifests.ts";

for (const [file, text] of Object.entries(deployManifests())) {
  test(`deploy/${file} is what node tools/generate-deploy.ts writes`, () => {
    const path = new URL(`../../../deploy/${file}`, import.meta.url);
    assert.ok(
      lstatSync(path).isFile(),
      "a link's text is all that a web server or a checkout without links has",
    );
    assert.equal(readFileSync(path, "utf8"), text);
  });
}

test("kustomize builds on, and Helm installs, what kubectl applies", () => {
  const files = deployManifests();
  assert.equal(files["base/tortie.yaml"], files["tortie.yaml"]);
  const crds = files["helm/tortie/crds/crd.projectcalico.org.yaml"];
  assert.ok(crds !== undefined && files["tortie.yaml"]?.includes(`---\n${crds}---\n`));
});
