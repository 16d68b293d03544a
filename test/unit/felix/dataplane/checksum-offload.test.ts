import assert from "node:assert/strict";
import { test } from "node:test";
import { isChecksumOffloadBroken } from "../../../../src/felix/dataplane/checksum-offload.ts";

const releases: readonly (readonly [release: string, broken: boolean])[] = [
  ["4.19.0-26-amd64", true],
  ["5.6.19", true],
  ["5.7.0-rc1", true],
  ["5.7", true],
  ["5.7.1", false],
  ["5.10.0-8-amd64", false],
  ["6.1.0-18-amd64", false],
  ["what is this", false],
];
for (const [release, broken] of releases) {
  test(`checksum offload of kernel ${release} is ${broken ? "broken" : "sound"}, unless somebody says otherwise`, () => {
    assert.equal(isChecksumOffloadBroken(undefined, release), broken);
    assert.equal(isChecksumOffloadBroken(!broken, release), !broken);
  });
}
