import assert from "node:assert/strict";
import { test } from "node:test";
import type { RouteOperation } from "../../../../src/bgp/policy/peer-policy.ts";
import { applyOperations } from "../../../../src/bgp/policy/route-operations.ts";
import type { PathAttributes } from "../../../../src/bgp/wire/message.ts";
import { parseAsn } from "../../../../src/lib/asn.ts";

const plain: PathAttributes = { origin: 0, asPath: [] };
const set = { kind: "set", asns: [parseAsn(9)] } as const;
const sequence = (...asns: number[]) => ({ kind: "sequence", asns: asns.map(parseAsn) }) as const;

const rows: readonly (readonly [RouteOperation, PathAttributes, Partial<PathAttributes>])[] = [
  [{ kind: "addCommunity", community: 5 }, plain, { communities: [5] }],
  [
    { kind: "addCommunity", community: 5 },
    { ...plain, communities: [6, 5] },
    { communities: [6, 5] },
  ],
  [{ kind: "addCommunity", community: [1, 2, 3] }, plain, { largeCommunities: [[1, 2, 3]] }],
  [
    { kind: "prependAsPath", asns: [1, 2].map(parseAsn) },
    { ...plain, asPath: [sequence(3)] },
    { asPath: [sequence(1, 2, 3)] },
  ],
  [
    { kind: "prependAsPath", asns: [1].map(parseAsn) },
    { ...plain, asPath: [set] },
    { asPath: [sequence(1), set] },
  ],
  [{ kind: "setLocalPref", localPref: 7 }, plain, { localPref: 7 }],
  [{ kind: "setMed", med: 0 }, { ...plain, med: 4 }, { med: 0 }],
  [{ kind: "setPriority", priority: 512 }, plain, { localPref: 2147483135 }],
];

rows.forEach(([operation, before, changed]) => {
  test(`${JSON.stringify(operation)} gives ${JSON.stringify(changed)}`, () => {
    assert.deepEqual(applyOperations(before, [operation]), { ...before, ...changed });
  });
});

test("Operations are done in order", () => {
  const prepend = (asn: number): RouteOperation => ({
    kind: "prependAsPath",
    asns: [parseAsn(asn)],
  });
  assert.deepEqual(applyOperations(plain, [prepend(1), prepend(2)]).asPath, [sequence(2, 1)]);
});
