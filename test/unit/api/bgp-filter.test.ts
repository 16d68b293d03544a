import assert from "node:assert/strict";
import { test } from "node:test";
import { kindOfWord } from "../../../src/api/kinds.ts";
import { decodeResource } from "../../../src/api/validate.ts";

type Fields = Readonly<Record<string, unknown>>;

const filter = (spec: Fields) => ({
  apiVersion: "projectcalico.org/v3",
  kind: "BGPFilter",
  metadata: { name: "f" },
  spec,
});
const rule = (fields: Fields, list = "exportV4") =>
  filter({ [list]: [{ action: "Accept", ...fields }] });
const operations = (...given: readonly Fields[]) => rule({ operations: given });
const community = (value: string) => rule({ communities: { values: [value] } });

/** What upstream accepts, its own test cases among them. */
const accepted: Readonly<Record<string, Fields>> = {
  "no rules": filter({}),
  "a rule that matches everything": rule({}),
  "every field of an IPv4 export rule": rule({
    cidr: "10.0.0.0/8",
    matchOperator: "In",
    prefixLength: { min: 16, max: 24 },
    source: "RemotePeers",
    interface: "*.calico",
    peerType: "eBGP",
    communities: { values: ["65000:100"] },
    asPathPrefix: [65001, "1.10"],
    priority: 2147483646,
    operations: [
      { addCommunity: { value: "65000:100:200" } },
      { prependASPath: { prefix: [65000, "65001"] } },
      { setPriority: { value: 1 } },
    ],
  }),
  "an IPv6 CIDR": rule({ cidr: "fd00::/8", matchOperator: "NotIn" }, "importV6"),
  "empty texts for absent ones": rule(
    { cidr: "", matchOperator: "", source: "", interface: "", peerType: "" },
    "importV4",
  ),
  "Reject with an empty list of operations": rule({ action: "Reject", operations: [] }),
  "the smallest community": community("0:0"),
  "the greatest community": community("65535:65535"),
  "the greatest large community": community("4294967295:4294967295:4294967295"),
};

for (const [name, input] of Object.entries(accepted)) {
  test(`BGPFilter with ${name} is accepted as it is`, () => {
    const { spec } = decodeResource(input);
    assert.deepEqual(spec, input["spec"]);
  });
}

const refused: readonly (readonly [input: Fields, message: string])[] = [
  [filter({ exportV4: [{}] }), "spec.exportV4[0].action: is required"],
  [rule({ action: "accept" }), 'spec.exportV4[0].action: must be Accept or Reject, got "accept"'],
  [filter({ exportv4: [] }), "spec.exportv4: unknown field"],
  [
    rule({ cidr: "nonsense", matchOperator: "In" }, "importV4"),
    'spec.importV4[0].cidr: must be a CIDR, got "nonsense"',
  ],
  [
    rule({ cidr: "10.0.0.1/8", matchOperator: "In" }),
    'spec.exportV4[0].cidr: Cannot parse prefix "10.0.0.1/8": host bits are set, did you mean 10.0.0.0/8',
  ],
  [
    rule({ cidr: "fd00::/8", matchOperator: "In" }),
    'spec.exportV4[0].cidr: must be an IPv4 CIDR, got "fd00::/8"',
  ],
  [
    rule({ cidr: "10.0.0.0/8", matchOperator: "In" }, "exportV6"),
    'spec.exportV6[0].cidr: must be an IPv6 CIDR, got "10.0.0.0/8"',
  ],
  [
    rule({ cidr: "10.0.0.0/8", matchOperator: "Inside" }),
    'spec.exportV4[0].matchOperator: must be Equal, NotEqual, In or NotIn, got "Inside"',
  ],
  [rule({ cidr: "10.0.0.0/8" }), "spec.exportV4[0].matchOperator: is required with cidr"],
  [rule({ matchOperator: "In" }), "spec.exportV4[0].cidr: is required with matchOperator"],
  [rule({ prefixLength: { min: 8 } }), "spec.exportV4[0].cidr: is required with prefixLength"],
  [
    rule({ cidr: "10.0.0.0/8", matchOperator: "In", prefixLength: { max: 33 } }),
    "spec.exportV4[0].prefixLength.max: must be an integer from 0 to 32, got 33",
  ],
  [
    rule({ source: "RemotePeers" }, "importV4"),
    "spec.importV4[0].source: may only be in export rules",
  ],
  [
    rule({ source: "RemotePeers" }, "importV6"),
    "spec.importV6[0].source: may only be in export rules",
  ],
  [rule({ source: "Kernel" }), 'spec.exportV4[0].source: must be RemotePeers, got "Kernel"'],
  [
    rule({ interface: "eth 0" }),
    'spec.exportV4[0].interface: must be an interface name, in which * may stand for anything, got "eth 0"',
  ],
  [rule({ peerType: "ebgp" }), 'spec.exportV4[0].peerType: must be eBGP or iBGP, got "ebgp"'],
  [
    rule({ communities: { values: [] } }),
    "spec.exportV4[0].communities.values: must have exactly one item, has 0",
  ],
  [
    rule({ communities: { values: ["1:1", "1:2"] } }),
    "spec.exportV4[0].communities.values: must have exactly one item, has 2",
  ],
  [
    community("65536:0"),
    'spec.exportV4[0].communities.values[0]: must be aa:nn or aa:nn:mm, got "65536:0"',
  ],
  [
    community("01:02"),
    'spec.exportV4[0].communities.values[0]: must be aa:nn or aa:nn:mm, got "01:02"',
  ],
  [
    community("4294967296:0:0"),
    'spec.exportV4[0].communities.values[0]: must be aa:nn or aa:nn:mm, got "4294967296:0:0"',
  ],
  [
    rule({ asPathPrefix: ["x"] }),
    'spec.exportV4[0].asPathPrefix[0]: Cannot parse AS number "x": it must be 0 to 4294967295, or a.b',
  ],
  [
    rule({ priority: 0 }),
    "spec.exportV4[0].priority: must be an integer from 1 to 2147483646, got 0",
  ],
  [
    rule({ action: "Reject", operations: [{ setPriority: { value: 100 } }] }),
    "spec.exportV4[0].operations: may only be given with action Accept",
  ],
  [
    operations({}),
    "spec.exportV4[0].operations[0]: must be exactly one of addCommunity, prependASPath and setPriority",
  ],
  [
    operations({ addCommunity: { value: "1:1" }, setPriority: { value: 1 } }),
    "spec.exportV4[0].operations[0]: must be exactly one of addCommunity, prependASPath and setPriority",
  ],
  [
    operations({ prependASPath: { prefix: [] } }),
    "spec.exportV4[0].operations[0].prependASPath.prefix: may not be empty",
  ],
  [
    operations({ prependASPath: { prefix: Array(11).fill(1) } }),
    "spec.exportV4[0].operations[0].prependASPath.prefix: has 11 items, at most 10 fit",
  ],
  [
    operations(...Array.from({ length: 11 }, () => ({ setPriority: { value: 1 } }))),
    "spec.exportV4[0].operations: has 11 items, at most 10 fit",
  ],
];

for (const [input, message] of refused) {
  test(`BGPFilter is refused: ${message}`, () => {
    assert.throws(() => decodeResource(input), {
      name: "InputError",
      message: `Cannot accept BGPFilter "f": ${message}`,
    });
  });
}

const status = (spec: Fields) => ({
  apiVersion: "projectcalico.org/v3",
  kind: "CalicoNodeStatus",
  metadata: { name: "s" },
  spec: { node: "a", classes: ["BGP"], updatePeriodSeconds: 10, ...spec },
});

test("CalicoNodeStatus with all classes is accepted", () => {
  const input = status({ classes: ["Agent", "BGP", "Routes"], updatePeriodSeconds: 0 });
  assert.deepEqual(decodeResource(input).spec, input.spec);
});

const refusedStatus: readonly (readonly [spec: Fields, message: string])[] = [
  [{ node: null }, "spec.node: is required"],
  [{ classes: [] }, "spec.classes: may not be empty"],
  [{ classes: ["BGP", "BGP"] }, 'spec.classes: has "BGP" twice'],
  [{ classes: ["Bgp"] }, 'spec.classes[0]: must be Agent, BGP or Routes, got "Bgp"'],
  [
    { updatePeriodSeconds: 86401 },
    "spec.updatePeriodSeconds: must be an integer from 0 to 86400, got 86401",
  ],
  [{ updatePeriodSeconds: null }, "spec.updatePeriodSeconds: is required"],
];

for (const [spec, message] of refusedStatus) {
  test(`CalicoNodeStatus is refused: ${message}`, () => {
    assert.throws(() => decodeResource(status(spec)), {
      message: `Cannot accept CalicoNodeStatus "s": ${message}`,
    });
  });
}

test("kindOfWord() knows the words of calicoctl for both kinds", () => {
  for (const word of ["bgpfilter", "bgpfilters", "bgpf", "bgpfs", "bf", "BFS"]) {
    assert.equal(kindOfWord(word)?.kind, "BGPFilter");
  }
  for (const word of ["caliconodestatus", "caliconodestatuses", "nodestatus", "nodestatuses"]) {
    assert.equal(kindOfWord(word)?.kind, "CalicoNodeStatus");
  }
});
