import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { waitFor } from "../../support/wait-for.ts";
import { type PolicyCase, PolicyLab } from "./policy-lab.ts";

/** Groups of cases by what they are of. */
export type CaseGroups = Readonly<Record<string, readonly PolicyCase[]>>;

/** One test a case, all in one set of namespaces with one felix. */
export function runCases(
  name: string,
  env: Readonly<Record<string, string>>,
  groups: CaseGroups,
): void {
  const lab = new PolicyLab(name, env);
  before(() => lab.start());
  after(() => lab.close());
  for (const [group, cases] of Object.entries(groups)) {
    describe(group, () => {
      for (const one of cases) {
        test(one.says, async () => {
          await lab.use(one);
          assert.deepEqual(await lab.wrongs(one), []);
          const { logs } = one;
          if (logs === undefined) return;
          await waitFor(() => logs.test(lab.felix.log), { what: `${logs} in felix' log` });
        });
      }
    });
  }
  test("nothing arrived that was seen to be dropped", () => {
    assert.deepEqual(lab.strays(), []);
  });
}
