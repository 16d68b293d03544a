import assert from "node:assert/strict";
import { test } from "node:test";
import {
  namespaceOfProfile,
  profilesOfNamespace,
} from "../../../../src/api/kubernetes/namespace.ts";
import {
  kubernetesPolicyOf,
  networkPolicyOf,
} from "../../../../src/api/kubernetes/network-policy.ts";
import { decodeManifest } from "../../../../src/api/manifest.ts";
import { policyIdentity } from "../../../../src/api/policy-identity.ts";
import type { KubernetesNetworkPolicySpec } from "../../../../src/api/resources/kubernetes.ts";
import type { NetworkPolicySpec } from "../../../../src/api/resources/policy.ts";
import { decodeResource } from "../../../../src/api/validate.ts";

const k8s = "projectcalico.org/orchestrator == 'k8s'";

function written(spec: object): unknown {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "p", namespace: "shop", labels: { a: "b" }, annotations: { c: "d" } },
    spec,
  };
}

function converted(spec: object): NetworkPolicySpec {
  const [entry] = decodeManifest(written(spec));
  assert.ok(entry?.resource.kind === "NetworkPolicy");
  return entry.resource.spec;
}

const rows: readonly (readonly [
  what: string,
  spec: KubernetesNetworkPolicySpec,
  expected: Partial<NetworkPolicySpec>,
])[] = [
  [
    "deny all ingress",
    { podSelector: {}, policyTypes: ["Ingress"] },
    { order: 1000, tier: "default", selector: k8s, types: ["Ingress"], ingress: [], egress: [] },
  ],
  ["no policyTypes, no egress", { podSelector: {} }, { types: ["Ingress"] }],
  [
    "no policyTypes, egress",
    { podSelector: {}, egress: [{}] },
    { types: ["Ingress", "Egress"], egress: [{ action: "Allow" }] },
  ],
  ["egress only", { policyTypes: ["Egress"] }, { types: ["Egress"], selector: k8s }],
  [
    "pod selector",
    {
      podSelector: {
        matchLabels: { z: "1", a: "2" },
        matchExpressions: [
          { key: "k", operator: "In", values: ["y", "x"] },
          { key: "l", operator: "NotIn", values: ["x"] },
          { key: "m", operator: "Exists" },
          { key: "n", operator: "DoesNotExist" },
        ],
      },
    },
    {
      selector: `${k8s} && a == '2' && z == '1' && k in { 'y', 'x' } && l not in { 'x' } && has(m) && ! has(n)`,
    },
  ],
  [
    "the worked example of facts B.2",
    {
      podSelector: {},
      ingress: [
        { from: [{ podSelector: { matchLabels: { app: "client" } } }], ports: [{ port: 80 }] },
      ],
    },
    {
      ingress: [
        {
          action: "Allow",
          protocol: "TCP",
          source: { selector: `${k8s} && app == 'client'` },
          destination: { ports: [80] },
        },
      ],
    },
  ],
  [
    "namespaces, all and some",
    {
      podSelector: {},
      ingress: [
        {
          from: [
            { namespaceSelector: {} },
            {
              namespaceSelector: { matchLabels: { t: "x" } },
              podSelector: { matchLabels: { a: "b" } },
            },
          ],
        },
      ],
    },
    {
      ingress: [
        { action: "Allow", source: { selector: k8s, namespaceSelector: "all()" } },
        {
          action: "Allow",
          source: { selector: `${k8s} && a == 'b'`, namespaceSelector: "t == 'x'" },
        },
      ],
    },
  ],
  [
    "ipBlock with host bits, and holes",
    {
      podSelector: {},
      egress: [{ to: [{ ipBlock: { cidr: "10.0.0.1/8", except: ["10.1.0.0/16"] } }] }],
    },
    {
      egress: [
        { action: "Allow", destination: { nets: ["10.0.0.0/8"], notNets: ["10.1.0.0/16"] } },
      ],
    },
  ],
  [
    "ports: by protocol in order, names first, ranges joined",
    {
      podSelector: {},
      ingress: [
        {
          ports: [
            { protocol: "UDP", port: 53 },
            { port: 8081 },
            { port: 443 },
            { port: "http" },
            { port: 8080, endPort: 8080 },
            { port: 8000, endPort: 8079 },
            { protocol: "SCTP" },
          ],
        },
      ],
    },
    {
      ingress: [
        { action: "Allow", protocol: "SCTP", destination: undefined },
        { action: "Allow", protocol: "TCP", destination: { ports: ["http", 443, "8000:8081"] } },
        { action: "Allow", protocol: "UDP", destination: { ports: [53] } },
      ].map(({ destination, ...rule }) => ({
        ...rule,
        action: "Allow" as const,
        source: {},
        destination: destination ?? {},
      })),
    },
  ],
  [
    "a port without a number opens its whole protocol",
    { podSelector: {}, ingress: [{ ports: [{ port: 80 }, { protocol: "TCP" }] }] },
    { ingress: [{ action: "Allow", protocol: "TCP", source: {}, destination: {} }] },
  ],
  [
    "egress ports stand beside the peer",
    {
      podSelector: {},
      policyTypes: ["Egress"],
      egress: [{ to: [{ podSelector: {} }], ports: [{ protocol: "UDP", port: 53 }] }],
    },
    {
      egress: [{ action: "Allow", protocol: "UDP", destination: { selector: k8s, ports: [53] } }],
    },
  ],
  [
    "nobody is not anybody: an empty rule allows all, no rule none",
    { podSelector: {}, ingress: [{ from: [], ports: [] }] },
    { ingress: [{ action: "Allow", source: {}, destination: {} }] },
  ],
];

/** Empty parties of a rule say nothing: compare without them. */
function lean(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, item) =>
      (key === "source" || key === "destination") && Object.keys(item).length === 0
        ? undefined
        : item,
    ),
  );
}

for (const [what, spec, expected] of rows) {
  test(`networkPolicyOf() converts ${what}`, () => {
    const actual = converted(spec);
    const picked = Object.fromEntries(
      Object.keys(expected).map((key) => [key, actual[key as keyof NetworkPolicySpec]]),
    );
    assert.deepEqual(lean(picked), lean(expected));
  });
}

test("what networkPolicyOf() makes is a valid NetworkPolicy, and shows as it was written", () => {
  for (const [, spec] of rows) {
    const [entry] = decodeManifest(written(spec));
    assert.ok(entry?.resource.kind === "NetworkPolicy");
    assert.deepEqual(decodeResource(entry.resource), entry.resource);
    const shown = kubernetesPolicyOf(entry.resource);
    assert.deepEqual(shown?.metadata, {
      name: "p",
      namespace: "shop",
      labels: { a: "b" },
      annotations: { c: "d" },
    });
    assert.deepEqual(shown === undefined ? undefined : networkPolicyOf(shown), entry.resource);
  }
});

test("kubernetesPolicyOf() is undefined for what was not written for Kubernetes", () => {
  const base = { apiVersion: "projectcalico.org/v3", kind: "NetworkPolicy", spec: {} } as const;
  assert.equal(kubernetesPolicyOf({ ...base, metadata: { name: "p" } }), undefined);
  assert.equal(kubernetesPolicyOf({ ...base, metadata: { name: "knp.default.p" } }), undefined);
  const annotations = { "tortie/kubernetes-spec": "{" };
  assert.equal(
    kubernetesPolicyOf({ ...base, metadata: { name: "knp.default.p", annotations } }),
    undefined,
  );
});

const refused: readonly (readonly [spec: object, message: RegExp])[] = [
  [{ ingress: [{ from: [{}] }] }, /spec\.ingress\[0\]\.from\[0\]: must have podSelector/],
  [
    { ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0/8" }, podSelector: {} }] }] },
    /from\[0\]\.ipBlock: may not be given together/,
  ],
  [
    { ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0/8", except: ["11.0.0.0/16"] } }] }] },
    /except\[0\]: must lie inside 10\.0\.0\.0\/8, got "11\.0\.0\.0\/16"/,
  ],
  [{ ingress: [{ ports: [{ port: 0 }] }] }, /ports\[0\]\.port: must be an integer from 1 to 65535/],
  [{ ingress: [{ ports: [{ port: "80" }] }] }, /ports\[0\]\.port: must be a port or a port's name/],
  [{ ingress: [{ ports: [{ port: 80, endPort: 79 }] }] }, /endPort: must be at least port, got 79/],
  [{ ingress: [{ ports: [{ protocol: "ICMP" }] }] }, /protocol: must be TCP, UDP or SCTP/],
  [{ policyTypes: ["ingress"] }, /policyTypes\[0\]: must be Ingress or Egress, got "ingress"/],
  [
    { podSelector: { matchExpressions: [{ key: "a", operator: "In" }] } },
    /matchExpressions\[0\]\.values: is required with operator In/,
  ],
  [
    { podSelector: { matchLabels: { a: "x' || all() || a == '" } } },
    /spec\.podSelector\.matchLabels\["a"\]: .* is no label value/,
  ],
  [
    { podSelector: { matchExpressions: [{ key: "a) || has(b", operator: "Exists" }] } },
    /matchExpressions\[0\]\.key: must be a label name/,
  ],
];

for (const [spec, message] of refused) {
  test(`a Kubernetes policy is refused: ${message.source.slice(0, 60)}`, () => {
    assert.throws(() => decodeManifest(written(spec)), { name: "InputError", message });
  });
}

test("policyIdentity() tells the three kinds of policies apart", () => {
  const base = { apiVersion: "projectcalico.org/v3", spec: { tier: "t" } };
  const identity = (name: string) =>
    policyIdentity({ ...base, kind: "NetworkPolicy", metadata: { name, namespace: "ns" } });
  assert.deepEqual(identity("a"), {
    id: "np/ns/a",
    shortKind: "np",
    namespace: "ns",
    name: "a",
    tier: "t",
  });
  assert.deepEqual(identity("knp.default.a.b"), {
    id: "knp/ns/a.b",
    shortKind: "knp",
    namespace: "ns",
    name: "a.b",
    tier: "t",
  });
  assert.deepEqual(
    policyIdentity({
      apiVersion: "projectcalico.org/v3",
      kind: "GlobalNetworkPolicy",
      metadata: { name: "knp.default.a" },
      spec: {},
    }),
    { id: "gnp/knp.default.a", shortKind: "gnp", name: "knp.default.a", tier: "default" },
  );
});

test("profilesOfNamespace() hands down the namespace's labels, and namespaceOfProfile() shows them", () => {
  const [namespace, account] = profilesOfNamespace({ name: "shop", labels: { team: "a" } });
  assert.deepEqual(namespace.spec, {
    ingress: [{ action: "Allow" }],
    egress: [{ action: "Allow" }],
    labelsToApply: {
      "pcns.kubernetes.io/metadata.name": "shop",
      "pcns.team": "a",
      "pcns.projectcalico.org/name": "shop",
    },
  });
  assert.deepEqual(account.metadata.name, "ksa.shop.default");
  assert.deepEqual(account.spec.labelsToApply, { "pcsa.projectcalico.org/name": "default" });
  for (const profile of [namespace, account]) {
    assert.deepEqual(decodeResource(profile), profile);
  }
  assert.deepEqual(namespaceOfProfile(namespace), {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: "shop", labels: { "kubernetes.io/metadata.name": "shop", team: "a" } },
    spec: {},
  });
  assert.equal(namespaceOfProfile(account), undefined);
});
