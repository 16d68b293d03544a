import assert from "node:assert/strict";
import { test } from "node:test";
import {
  clusterPolicyOf,
  globalPolicyOf,
} from "../../../../src/api/kubernetes/cluster-network-policy.ts";
import { decodeManifest } from "../../../../src/api/manifest.ts";
import type { GlobalNetworkPolicy } from "../../../../src/api/resources/policy.ts";
import type { Rule } from "../../../../src/api/resources/rule.ts";
import { decodeStored } from "../../../../src/api/validate.ts";

const k8s = "projectcalico.org/orchestrator == 'k8s'";
const everywhere = { namespaces: {} };
const anybody = { source: { namespaceSelector: "all()" }, destination: {} };

function written(spec: object, more: object = {}) {
  return {
    apiVersion: "policy.networking.k8s.io/v1alpha2",
    kind: "ClusterNetworkPolicy",
    metadata: { name: "p.q", labels: { a: "b" }, annotations: { c: "d" } },
    spec: { tier: "Admin", priority: 5, subject: everywhere, ...spec },
    ...more,
  };
}

function converted(spec: object): GlobalNetworkPolicy {
  const [entry, ...others] = decodeManifest(written(spec));
  assert.deepEqual(others, []);
  assert.ok(entry?.resource.kind === "GlobalNetworkPolicy");
  assert.deepEqual(entry.as, { kind: "ClusterNetworkPolicy", name: "p.q" });
  return entry.resource;
}

test("globalPolicyOf() converts all that a policy has", () => {
  const labels = { matchLabels: { z: "1", a: "2" } };
  const pods = { namespaceSelector: { matchLabels: { t: "x" } }, podSelector: labels };
  const policy = converted({
    priority: 1000,
    subject: { pods },
    ingress: [{ name: "web", action: "Accept", from: [{ pods }] }],
    egress: [{ action: "Pass", to: [{ namespaces: labels }] }],
  });
  const selected = { selector: `${k8s} && a == '2' && z == '1'`, namespaceSelector: "t == 'x'" };
  assert.equal(policy.metadata.name, "kcnp.default.p.q");
  assert.equal(policy.metadata.labels?.["projectcalico.org/tier"], "kube-admin");
  assert.deepEqual(policy.spec, {
    ...selected,
    tier: "kube-admin",
    order: 1000,
    types: ["Ingress", "Egress"],
    ingress: [
      {
        action: "Allow",
        metadata: { annotations: { name: "web" } },
        source: selected,
        destination: {},
      },
    ],
    egress: [{ action: "Pass", destination: { namespaceSelector: "a == '2' && z == '1'" } }],
  });
});

test("globalPolicyOf(): a tier of each name, a subject of whole namespaces, no host endpoint", () => {
  const { spec } = converted({ tier: "Baseline", priority: 0 });
  assert.equal(spec.tier, "kube-baseline");
  assert.equal(spec.order, 0);
  assert.equal(spec.selector, k8s);
  assert.equal(spec.namespaceSelector, "all()");
  const { spec: pods } = converted({ subject: { pods: { podSelector: {} } } });
  assert.deepEqual([pods.selector, pods.namespaceSelector], [k8s, "all()"]);
});

test("globalPolicyOf(): types are the directions that have rules", () => {
  const ingress = [{ action: "Deny", from: [everywhere] }];
  const egress = [{ action: "Deny", to: [everywhere] }];
  assert.deepEqual(converted({ ingress }).spec.types, ["Ingress"]);
  assert.deepEqual(converted({ egress }).spec.types, ["Egress"]);
});

const rules: readonly (readonly [
  what: string,
  rule: { readonly to?: object[]; readonly from?: object[]; readonly protocols?: object[] },
  expected: readonly Omit<Rule, "action">[],
])[] = [
  [
    "a rule for each peer",
    { from: [everywhere, { pods: { podSelector: { matchLabels: { a: "b" } } } }] },
    [
      anybody,
      { source: { selector: `${k8s} && a == 'b'`, namespaceSelector: "all()" }, destination: {} },
    ],
  ],
  [
    "networks of both families",
    { to: [{ networks: ["10.0.0.1/8", "fd00::/8", "11.0.0.0/8"] }] },
    [
      { destination: { nets: ["10.0.0.0/8", "11.0.0.0/8"] } },
      { destination: { nets: ["fd00::/8"] } },
    ],
  ],
  [
    "ports, by protocol in order, ranges joined",
    {
      from: [everywhere],
      protocols: [
        { udp: { destinationPort: { number: 53 } } },
        { tcp: { destinationPort: { range: { start: 81, end: 90 } } } },
        { tcp: { destinationPort: { number: 80 } } },
        { sctp: { destinationPort: { range: { start: 7, end: 7 } } } },
      ],
    },
    [
      { protocol: "SCTP", ...anybody, destination: { ports: [7] } },
      { protocol: "TCP", ...anybody, destination: { ports: ["80:90"] } },
      { protocol: "UDP", ...anybody, destination: { ports: [53] } },
    ],
  ],
  [
    "egress ports stand beside the peer",
    {
      to: [{ networks: ["10.0.0.0/8"] }],
      protocols: [{ tcp: { destinationPort: { number: 443 } } }],
    },
    [{ protocol: "TCP", destination: { nets: ["10.0.0.0/8"], ports: [443] } }],
  ],
];

for (const [what, rule, expected] of rules) {
  for (const [action, ours] of Object.entries({ Accept: "Allow", Deny: "Deny", Pass: "Pass" })) {
    test(`globalPolicyOf(): ${what}, ${action}`, () => {
      const field = rule.from === undefined ? "egress" : "ingress";
      const { spec } = converted({ [field]: [{ action, ...rule }] });
      const wanted = expected.map((one) => ({ action: ours, ...one }));
      assert.deepEqual(spec[field], wanted);
    });
  }
}

test("what globalPolicyOf() makes can be stored, and shows as it was written", () => {
  const policy = converted({ ingress: [{ action: "Deny", from: [everywhere] }] });
  assert.deepEqual(decodeStored(policy), { ok: true, resource: policy });
  const shown = clusterPolicyOf(policy);
  assert.deepEqual(shown, written({ ingress: [{ action: "Deny", from: [everywhere] }] }));
  assert.deepEqual(shown === undefined ? undefined : globalPolicyOf(shown), policy);
  const { annotations: _annotations, ...metadata } = policy.metadata;
  assert.equal(clusterPolicyOf({ ...policy, metadata }), undefined);
});

const refused: readonly (readonly [spec: object, message: RegExp])[] = [
  [
    { tier: "Root" },
    /ClusterNetworkPolicy "p\.q": spec\.tier: must be Admin or Baseline, got "Root"/,
  ],
  [{ priority: 1001 }, /spec\.priority: must be an integer from 0 to 1000, got 1001/],
  [{ subject: {} }, /spec\.subject: must have exactly one of namespaces, pods/],
  [{ subject: { ...everywhere, pods: { podSelector: {} } } }, /spec\.subject: must have exactly/],
  [{ subject: { pods: {} } }, /spec\.subject\.pods\.podSelector: is required/],
  [{ ingress: [{ action: "Log", from: [everywhere] }] }, /ingress\[0\]\.action: must be Accept/],
  [{ ingress: [{ action: "Deny", from: [] }] }, /ingress\[0\]\.from: may not be empty/],
  [{ ingress: [{ action: "Deny" }] }, /ingress\[0\]\.from: is required/],
  [{ ingress: [{ action: "Deny", from: [{}] }] }, /from\[0\]: must have exactly one of/],
  [
    { ingress: Array.from({ length: 26 }, () => ({ action: "Deny", from: [everywhere] })) },
    /spec\.ingress: has 26 items, at most 25 fit/,
  ],
  [
    { ingress: [{ action: "Deny", from: [{ networks: ["10.0.0.0/8"] }] }] },
    /from\[0\]\.networks: unknown field/,
  ],
  [{ egress: [{ action: "Deny", to: [{ nodes: {} }] }] }, /to\[0\]\.nodes: is not supported/],
  [
    { egress: [{ action: "Accept", to: [{ domainNames: ["a.b"] }] }] },
    /to\[0\]\.domainNames: is not supported/,
  ],
  [
    { egress: [{ action: "Deny", to: [{ networks: ["10.0.0.0/33"] }] }] },
    /to\[0\]\.networks\[0\]: .*10\.0\.0\.0\/33/,
  ],
  [withProtocol({ destinationNamedPort: "web" }), /destinationNamedPort: is not supported/],
  [withProtocol({ tcp: {} }), /protocols\[0\]\.tcp\.destinationPort: is required/],
  [withProtocol({ tcp: { destinationPort: { number: 0 } } }), /number: must be an integer from 1/],
  [
    withProtocol({ tcp: { destinationPort: { range: { start: 9, end: 8 } } } }),
    /range\.end: must be at least start, got 8/,
  ],
];

function withProtocol(protocol: object): object {
  return { ingress: [{ action: "Accept", from: [everywhere], protocols: [protocol] }] };
}

for (const [spec, message] of refused) {
  test(`a ClusterNetworkPolicy is refused: ${message.source.slice(0, 60)}`, () => {
    assert.throws(() => decodeManifest(written(spec)), { name: "InputError", message });
  });
}

test("a ClusterNetworkPolicy has no namespace, and one version", () => {
  const metadata = { name: "p", namespace: "shop" };
  assert.throws(() => decodeManifest(written({}, { metadata })), /namespace: may not be given/);
  const apiVersion = "policy.networking.k8s.io/v1alpha1";
  assert.throws(
    () => decodeManifest(written({}, { apiVersion })),
    /apiVersion: must be .*v1alpha2/,
  );
});

test("of an API server, a broken rule accepts nothing and denies all, a broken policy is none", () => {
  const newPeer = [{ planets: {} }];
  const rule = { action: "Accept", from: [everywhere] };
  const policy = written({
    ingress: [
      { action: "Accept", from: newPeer },
      { action: "Deny", from: newPeer },
      rule,
      { action: "Pass", from: [everywhere], protocols: [{ destinationNamedPort: "web" }] },
      { ...rule, unknown: 1 },
      { action: "Log", from: [everywhere] },
    ],
    future: true,
  });
  const { spec } = globalPolicyOf(policy as never);
  assert.deepEqual(spec.ingress, [
    { action: "Deny" },
    { action: "Allow", ...anybody },
    { action: "Deny" },
  ]);
  const broken = written({ subject: { planets: {} } });
  assert.throws(() => globalPolicyOf(broken as never), /"p\.q": spec\.subject: must have exactly/);
});
