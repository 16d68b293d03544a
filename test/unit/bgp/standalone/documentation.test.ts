import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileKeys } from "../../../../src/bgp/standalone/fields.ts";

const text = readFileSync(new URL("../../../../docs/bgp-config.md", import.meta.url), "utf8");

test("docs/bgp-config.md has every key of the file, and no other", () => {
  const sections = text.split(/^### /m).slice(1);
  const documented = Object.fromEntries(
    sections.map((section) => {
      const heading = section.slice(0, section.indexOf("\n"));
      return [heading, [...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, key]) => key)];
    }),
  );
  assert.deepEqual(documented, fileKeys);
});
