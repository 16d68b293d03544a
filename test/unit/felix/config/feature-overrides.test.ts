import assert from "node:assert/strict";
import { test } from "node:test";
import { felixConfig } from "../../../../src/felix/config/felix-config.ts";
import { type IptablesBackend, withFeatures } from "../../../../src/kernel/iptables/backend.ts";
import type { Action } from "../../../../src/kernel/iptables/model.ts";
import { renderRule } from "../../../../src/kernel/iptables/render.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";

const detected: IptablesBackend = {
  kind: "nft",
  variant: "-nft",
  version: "1.8.9",
  features: { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true },
};

test("featureDetectOverride says whether tunnel devices compute checksums themselves", () => {
  const broken = (given: string) =>
    felixConfig({ global: { featureDetectOverride: given }, env: {} }).checksumOffloadBroken;
  assert.equal(broken("ChecksumOffloadBroken=true"), true);
  assert.equal(broken("ChecksumOffloadBroken=false"), false);
  assert.equal(broken("SNATFullyRandom=true"), undefined);
});

function featuresOf(given: unknown) {
  const config = felixConfig({ global: { featureDetectOverride: given }, env: {} });
  assert.deepEqual(config.problems, []);
  return withFeatures(detected, config.iptablesFeatures).features;
}

test("featureDetectOverride takes the place of what is detected", () => {
  const text = (given: unknown, action: Action) =>
    renderRule({ match: [], action }, "tag", featuresOf(given));
  const masquerade: Action = { kind: "masquerade" };
  const snat: Action = { kind: "snat", address: parseIpAddr("10.0.0.1") };
  assert.match(text("", masquerade), /--random-fully/);
  assert.doesNotMatch(text("MASQFullyRandom=false", masquerade), /--random-fully/);
  assert.match(text("MASQFullyRandom=false", snat), /--random-fully/);
  assert.doesNotMatch(text("SNATFullyRandom=false", snat), /--random-fully/);
});

test("featureDetectOverride passes over features that have no meaning here", () => {
  assert.equal(featuresOf("RestoreSupportsLock=false").restoreWait, false);
  assert.deepEqual(featuresOf("Other=0"), detected.features);
});
