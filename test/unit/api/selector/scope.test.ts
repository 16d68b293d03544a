import assert from "node:assert/strict";
import { test } from "node:test";
import { ipSetId } from "../../../../src/api/names.ts";
import type { NetworkPolicySpec } from "../../../../src/api/resources/policy.ts";
import type { EntityRule } from "../../../../src/api/resources/rule.ts";
import { canonicalText } from "../../../../src/api/selector/canonical.ts";
import { entitySelector, policySelector } from "../../../../src/api/selector/scope.ts";

const inDefault = 'projectcalico.org/namespace == "default"';

const policies: readonly (readonly [spec: NetworkPolicySpec, expected: string])[] = [
  [{}, inDefault],
  [{ selector: "" }, inDefault],
  [{ selector: "all()" }, `(all() && ${inDefault})`],
  [{ selector: "a == 'x' || has(b)" }, `((a == "x" || has(b)) && ${inDefault})`],
  [{ serviceAccountSelector: "role == 'x'" }, `(${inDefault} && pcsa.role == "x")`],
  [
    { selector: "has(a)", serviceAccountSelector: "has(b) && has(c)" },
    `((has(a) && ${inDefault}) && (has(pcsa.b) && has(pcsa.c)))`,
  ],
];

for (const [spec, expected] of policies) {
  test(`policySelector() of a NetworkPolicy ${JSON.stringify(spec)}`, () => {
    const policy = {
      apiVersion: "projectcalico.org/v3",
      kind: "NetworkPolicy",
      metadata: { name: "p", namespace: "default" },
      spec,
    } as const;
    assert.equal(canonicalText(policySelector(policy)), expected);
  });
}

const globalPolicies = [
  [{}, "all()"],
  [{ selector: "has(a)" }, "has(a)"],
  [{ namespaceSelector: "env == 'x'" }, 'pcns.env == "x"'],
  [{ namespaceSelector: "all()" }, "has(projectcalico.org/namespace)"],
  [
    { selector: "all()", namespaceSelector: "!has(env)" },
    "(has(projectcalico.org/namespace) && !has(pcns.env))",
  ],
  [
    { selector: "has(a)", serviceAccountSelector: "all()" },
    "(has(a) && has(projectcalico.org/serviceaccount))",
  ],
  [
    { selector: "has(a)", namespaceSelector: "has(n)", serviceAccountSelector: "has(s)" },
    "((has(a) && has(pcns.n)) && has(pcsa.s))",
  ],
] as const;

for (const [spec, expected] of globalPolicies) {
  test(`policySelector() of a GlobalNetworkPolicy ${JSON.stringify(spec)}`, () => {
    const policy = {
      apiVersion: "projectcalico.org/v3",
      kind: "GlobalNetworkPolicy",
      metadata: { name: "p" },
      spec,
    } as const;
    assert.equal(canonicalText(policySelector(policy)), expected);
  });
}

const entities: readonly (readonly [
  entity: EntityRule,
  inNamespace: string | undefined,
  global: string | undefined,
])[] = [
  [{}, undefined, undefined],
  [{ nets: ["10.0.0.0/8"] }, undefined, undefined],
  [{ selector: "app == 'web'" }, `(${inDefault} && app == "web")`, 'app == "web"'],
  [{ notSelector: "has(a)" }, inDefault, undefined],
  [{ selector: "has(a)", notSelector: "has(b)" }, `(${inDefault} && has(a))`, "has(a)"],
  [{ namespaceSelector: "env == 'x'" }, 'pcns.env == "x"', 'pcns.env == "x"'],
  [
    { namespaceSelector: "all()", selector: "has(a)" },
    "(has(projectcalico.org/namespace) && has(a))",
    "(has(projectcalico.org/namespace) && has(a))",
  ],
  [
    { namespaceSelector: "global()" },
    "!has(projectcalico.org/namespace)",
    "!has(projectcalico.org/namespace)",
  ],
  [
    { namespaceSelector: "!global()" },
    "has(projectcalico.org/namespace)",
    "has(projectcalico.org/namespace)",
  ],
  [
    { serviceAccounts: { names: ["b", "a"] } },
    `(${inDefault} && projectcalico.org/serviceaccount in {"a", "b"})`,
    'projectcalico.org/serviceaccount in {"a", "b"}',
  ],
  [
    { selector: "has(x)", serviceAccounts: { names: ["a"], selector: "has(r)" } },
    `(${inDefault} && ((has(pcsa.r) && projectcalico.org/serviceaccount in {"a"}) && has(x)))`,
    '((has(pcsa.r) && projectcalico.org/serviceaccount in {"a"}) && has(x))',
  ],
];

for (const [entity, inNamespace, global] of entities) {
  test(`entitySelector() of ${JSON.stringify(entity)}`, () => {
    const text = (namespace: string | undefined) => {
      const selector = entitySelector(entity, namespace);
      return selector === undefined ? undefined : canonicalText(selector);
    };
    assert.equal(text("default"), inNamespace);
    assert.equal(text(undefined), global);
  });
}

test("golden vector B13b: the set of a Kubernetes policy's peer", () => {
  const selector = "projectcalico.org/orchestrator == 'k8s' && app == 'client'";
  const scoped = entitySelector({ selector }, "default");
  assert.ok(scoped !== undefined);
  assert.equal(ipSetId("s", canonicalText(scoped)), "s:g_TM4cHGncRYRKupcms5_3mlb7DhnbSzVvsVlw");
});

test("entitySelector() refuses a selector that cannot be parsed", () => {
  assert.throws(() => entitySelector({ namespaceSelector: "a = b" }, "default"), SyntaxError);
});
