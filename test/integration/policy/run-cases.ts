import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { waitFor } from "../../support/wait-for.ts";
import { comingAndGoing } from "./calico-set-cases.ts";
import type { PolicyCase } from "./policy-case.ts";
import { PolicyLab } from "./policy-lab.ts";

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
  for (const { says, manifests, besides, probes } of comingAndGoing) {
    test(says, async () => {
      await lab.use({ manifests });
      for (const isThere of [false, true, false]) {
        await lab.useBesides(isThere ? besides : "");
        await lab.settled();
        const outcome = isThere ? { passes: probes } : { drops: probes };
        assert.deepEqual(await lab.wrongs({ says, manifests, ...outcome }), [], `${isThere}`);
      }
    });
  }
  test("nothing arrived that was seen to be dropped", () => {
    assert.deepEqual(lab.strays(), []);
  });
  test("a packet that is let through is seen without waiting for it", async () => {
    await lab.use({ manifests: "" });
    const probes = [
      "client -> server tcp/80",
      "client -> server udp/53",
      "client -> server icmp/echo",
    ];
    const seen = [];
    for (const probe of probes) seen.push(await lab.passes(probe, false, 4));
    // Were all of them taken for dropped, so would be what may not pass.
    assert.ok(seen.includes(true));
  });
}
