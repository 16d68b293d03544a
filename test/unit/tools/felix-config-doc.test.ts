import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { felixConfigurationSpec } from "../../../src/api/schemas/felix-schema.ts";
import { serverSchema } from "../../../src/api/schemas/schema.ts";
import { variableOf } from "../../../src/felix/config/parameter.ts";
import { allParameters } from "../../../src/felix/config/parameters.ts";
import { felixConfigDocument } from "../../../tools/felix-config-doc.ts";

const file = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");

test("docs/felix-config.md is what node tools/generate-felix-config.ts writes", () => {
  assert.equal(file("docs/felix-config.md"), felixConfigDocument());
});

test("every field of FelixConfiguration's schema is a parameter, and the other way round", () => {
  const { properties } = serverSchema(felixConfigurationSpec) as {
    readonly properties: Readonly<Record<string, unknown>>;
  };
  const fields = Object.keys(properties).filter((name) => name !== "nodeSelector");
  const known = Object.entries(allParameters).filter(
    // Kept whatever they are: the schema does not name them.
    ([name, { options }]) => options.local !== true && !/^(bpf|debug)[A-Z]/.test(name),
  );
  assert.deepEqual(fields.sort(), known.map(([name]) => name).sort());
});

for (const [name, parameter] of Object.entries(allParameters)) {
  const { acts } = parameter;
  if (acts === undefined) continue;
  test(`the test that ${name} acts is there and speaks of it`, () => {
    const words = [name, `FELIX_${variableOf(name, parameter)}`];
    assert.ok(
      words.some((word) => file(acts).includes(word)),
      `${acts} has no ${name}`,
    );
  });
}
