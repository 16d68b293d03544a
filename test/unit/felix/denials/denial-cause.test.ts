import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ActivePolicy } from "../../../../src/felix/calc/updates.ts";
import { denialCause } from "../../../../src/felix/denials/denial-cause.ts";
import {
  endOfTierPrefix,
  policyDenyPrefix,
  profileDenyPrefix,
} from "../../../../src/felix/rules/nflog.ts";

const policy = (change: Partial<ActivePolicy>): ActivePolicy => ({
  tier: "default",
  shortKind: "np",
  namespace: "shop",
  name: "web",
  selector: "all()",
  types: [],
  ingress: [],
  egress: [],
  ...change,
});

const long = "a-policy-with-a-name-that-is-longer-than-what-a-prefix-may-hold";
const longTier = "a-tier-with-a-name-that-is-as-long-as-a-name-may-be-which-is-63";
const known = {
  policies: new Map([
    ["np/shop/web", policy({})],
    [`knp/shop/${long}`, policy({ shortKind: "knp", name: long, tier: longTier })],
    [`knp/mall/${long}`, policy({ shortKind: "knp", namespace: "mall", name: long })],
  ]),
  profiles: new Map([["kns.shop", { ingress: [], egress: [] }]]),
};

describe("NFLOG prefixes", () => {
  test("are Calico's, also where they are too long (felix/rules/nflog tests)", () => {
    const name = "this-is-still-quite-a-long-tier-name-even-though-its-not-required";
    const prefixes = [
      policyDenyPrefix("egress", 1, `gnp/${name}.quite-a-long-policy-name`),
      endOfTierPrefix("egress", "tier-1"),
      endOfTierPrefix("ingress", "tier-01234567890123456789012345678901234567890123456789012"),
      endOfTierPrefix("ingress", "tier-012345678901234567890123456789012345678901234567890123"),
    ];
    assert.deepEqual(prefixes, [
      "DPE1|gnp/t_FSGxA9eGa6t_A5Rj2agPvl4aq8-eohq0An6xEW4n7_olicy-name",
      "DPE|tier-1",
      "DPI|tier-01234567890123456789012345678901234567890123456789012",
      "DPI|tier-0_phEfG4Vhbq2xh4TQsePNa2X9YRj5peCVw1FgaNSbd_4567890123",
    ]);
  });
});

describe("denialCause()", () => {
  test("finds the rule of a policy", () => {
    assert.deepEqual(denialCause("DPI12|np/shop/web", known), {
      direction: "ingress",
      cause: { by: "rule", tier: "default", policy: "NetworkPolicy shop/web", rule: 12 },
    });
  });

  test("finds policies and tiers of long names by their hash", () => {
    assert.deepEqual(denialCause(policyDenyPrefix("egress", 3, `knp/mall/${long}`), known)?.cause, {
      by: "rule",
      tier: "default",
      policy: `KubernetesNetworkPolicy mall/${long}`,
      rule: 3,
    });
    assert.deepEqual(denialCause(endOfTierPrefix("egress", longTier), known), {
      direction: "egress",
      cause: { by: "end of tier", tier: longTier },
    });
  });

  test("finds profiles, and that none allowed", () => {
    assert.deepEqual(denialCause(profileDenyPrefix("ingress", 0, "kns.shop"), known)?.cause, {
      by: "profile rule",
      profile: "kns.shop",
      rule: 0,
    });
    assert.deepEqual(denialCause("DRE", known), {
      direction: "egress",
      cause: { by: "no profile" },
    });
  });

  for (const prefix of ["", "x", "API0|np/shop/web", "DPI0|np/shop/other", "DPI|no-tier", "DP"]) {
    test(`knows nothing of "${prefix}"`, () => {
      assert.equal(denialCause(prefix, known), undefined);
    });
  }
});
