import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  affinityLabels,
  affinityName,
  chainName,
  cidrName,
  hostnameHash,
  ipSetId,
  kernelSetName,
  maxChainNameLength,
  parseWepName,
  vethName,
  vtepMac,
  wepName,
} from "../../../src/api/names.ts";
import { parsePrefix } from "../../../src/lib/prefix.ts";

/** Number of the golden vector (facts appendix B), what we compute, what it must be. */
const vectors: readonly (readonly [vector: string, actual: string, expected: string])[] = [
  ["B1", vethName("cali", "default", "podA"), "cali7f94ce7c295"],
  ["B2", vethName("cali", "default", "web-0"), "cali0d7763386da"],
  ["B3", vethName("cali", "kube-system", "coredns-7db6d8ff4d-abcde"), "calif90c21019df"],
  ["B4", vtepMac("remotehostname", 4), "66:3e:ca:a4:db:65"],
  ["B5 v4", vtepMac("node1", 4), "66:f9:37:c3:7e:94"],
  ["B5 v6", vtepMac("node1", 6), "66:0f:35:f2:60:df"],
  [
    "B6",
    chainName("cali-pi-", "gnp/long-policy-name-that-gets-hashed"),
    "cali-pi-_PymyFHQQg3808jiz1OJ",
  ],
  ["B7", chainName("cali-pi-", "knp/default/allow-web"), "cali-pi-_l7X9Omtz7dibbh9L3Lp"],
  ["B8", chainName("cali-pri-", "ksa.kube-system.coredns"), "cali-pri-_u2Tn2rSoAPffvE7JO6"],
  ["B9", chainName("cali-pri-", "kns.default"), "cali-pri-kns.default"],
  ["B10", chainName("cali-tw-", "cali0d7763386da"), "cali-tw-cali0d7763386da"],
  ["B11", ipSetId("s", "all()"), "s:5y5I3VdRZfDU01O--xXAPx2yxCQQqMf0M6IWug"],
  ["B12", ipSetId("s", 'app == "web"'), "s:oy593DLyi5BRwxLRqXScOfE9YMyW5S4KAhmzFg"],
  [
    "B13",
    ipSetId("s", '(projectcalico.org/namespace == "default" && app == "web")'),
    "s:cttW8MqAIeVWez-m8dwR9b3uQqpCzqFehCdHqQ",
  ],
  [
    "B13b",
    ipSetId(
      "s",
      '(projectcalico.org/namespace == "default" && (projectcalico.org/orchestrator == "k8s" && app == "client"))',
    ),
    "s:g_TM4cHGncRYRKupcms5_3mlb7DhnbSzVvsVlw",
  ],
  ["B14", kernelSetName(ipSetId("s", "all()"), 4), "cali40s:5y5I3VdRZfDU01O--xXAPx2"],
  [
    "B15",
    ipSetId("n", `${ipSetId("s", 'app == "web"')},tcp,http`),
    "n:ac_JrbZRp5ORL-z9cQxMyVpA98RIhLpq9rkrXg",
  ],
  ["B16 ports", ipSetId("svc", "default/web"), "svc:-B0RxVUwdW1aFEcXPP4q2GF3e68JsTwIe-pf7w"],
  [
    "B16 no ports",
    ipSetId("svcnoport", "default/web"),
    "svcnoport:b_Odath8L_-pMWpLC_tua_hO2jguw5ajClao3w",
  ],
  ["B17", hostnameHash("node1"), "7DS2CCNJGGLTHBDQLLFO6SX24SY2YDDEG3W2VN556FA2W4DLLV5A"],
  ["B20 v4", cidrName(parsePrefix("10.0.0.64/26")), "10-0-0-64-26"],
  ["B20 v6", cidrName(parsePrefix("fd00:10:244::40/122")), "fd00-10-244--40-122"],
  ["2.3", cidrName(parsePrefix("fd00::/122")), "fd00---122"],
  [
    "B21",
    affinityName("a".repeat(245), parsePrefix("10.0.0.64/26")),
    `${"a".repeat(227)}-10-0-0-64-26-04155b9e5a1`,
  ],
  [
    "B25",
    wepName({ node: "node-1", orchestrator: "k8s", workload: "web-0", endpoint: "eth0" }),
    "node--1-k8s-web--0-eth0",
  ],
];

for (const [vector, actual, expected] of vectors) {
  test(`golden vector ${vector}: ${expected}`, () => {
    assert.equal(actual, expected);
  });
}

test("affinityName() keeps a name that fits", () => {
  const cidr = parsePrefix("10.0.0.64/26");
  assert.equal(affinityName("node1", cidr), "node1-10-0-0-64-26");
  assert.equal(affinityName("a".repeat(239), cidr).length, 252);
  assert.equal(affinityName("a".repeat(239), cidr), `${"a".repeat(239)}-10-0-0-64-26`);
  assert.equal(affinityName("a".repeat(240), cidr).length, 252);
});

test("affinityLabels() are the three labels that lists are filtered by", () => {
  assert.deepEqual(affinityLabels("node1", "host", 6), {
    "projectcalico.org/hostname-hash": hostnameHash("node1"),
    "projectcalico.org/affinity-type": "host",
    "projectcalico.org/ip-version": "6",
  });
});

test("chainName() hashes at the limit only what could pass for a hash", () => {
  assert.equal(chainName("cali-pi-", "a".repeat(20)), `cali-pi-${"a".repeat(20)}`);
  assert.notEqual(chainName("cali-pi-", `_${"a".repeat(19)}`), `cali-pi-_${"a".repeat(19)}`);
});

test("chainName() always fits and tells ids apart", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      const [x, y] = [chainName("cali-pi-", a), chainName("cali-pi-", b)];
      assert.ok(x.length <= maxChainNameLength);
      assert.equal(x === y, a === b);
    }),
  );
});

test("parseWepName() is the inverse of wepName()", () => {
  const part = fc.stringMatching(/^[a-z0-9.]+(-+[a-z0-9.]+)*$/);
  fc.assert(
    fc.property(part, part, part, part, (node, orchestrator, workload, endpoint) => {
      const parts = { node, orchestrator, workload, endpoint };
      assert.deepEqual(parseWepName(wepName(parts)), parts);
    }),
  );
});

test("parseWepName() refuses what has not four parts", () => {
  for (const name of ["", "node1", "a-b-c", "a-b-c-d-e", "a-b-c-", "--a-b-c"]) {
    assert.equal(parseWepName(name), undefined, name);
  }
});
