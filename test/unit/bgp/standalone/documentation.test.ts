import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { speakerMetrics } from "../../../../src/bgp/speaker/metrics.ts";
import { fileKeys } from "../../../../src/bgp/standalone/fields.ts";
import { FakeRunning, secretNeighbor } from "../control/running.ts";

const text = readFileSync(new URL("../../../../docs/bgp-config.md", import.meta.url), "utf8");

test("docs/bgp-config.md has every key of the file, and no other", () => {
  const file = text.slice(0, text.indexOf("\n## Asking a speaker"));
  const sections = file.split(/^### /m).slice(1);
  const documented = Object.fromEntries(
    sections.map((section) => {
      const heading = section.slice(0, section.indexOf("\n"));
      return [heading, [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, key]) => key)];
    }),
  );
  assert.deepEqual(documented, fileKeys);
});

test("docs/bgp-config.md has every metric of the speaker", () => {
  const samples = speakerMetrics(new FakeRunning([secretNeighbor])).map(({ name }) => name);
  assert.deepEqual(
    samples.filter((name) => !text.includes(`\`${name}\``)),
    [],
  );
});
