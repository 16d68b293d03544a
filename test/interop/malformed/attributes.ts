import { good, goodInternal, nextHop, origin, path, reach, unreach, update } from "./octets.ts";
import { keep, type MalformedRow, reset, withdraw, withdraw6 } from "./row.ts";

/** RFC 7606 section 3 c: Optional and Transitive bits that conflict with the attribute's own. */
const flags: readonly MalformedRow[] = (
  [
    ["ORIGIN", "c0", `c0010100${path}${nextHop}`],
    ["AS_PATH", "0", `${origin}00020602010000fde7${nextHop}`],
    ["NEXT_HOP", "80", `${origin}${path}8003040a6301NN`],
    ["MULTI_EXIT_DISC", "c0", `${good}c0040400000001`],
    ["ATOMIC_AGGREGATE", "c0", `${good}c00600`],
    ["AGGREGATOR", "80", `${good}8007080000fde70a000001`],
    ["COMMUNITIES", "40", `${good}4008040000fde7`],
    ["EXTENDED_COMMUNITIES", "80", `${good}8010080002fde700000001`],
    ["LARGE_COMMUNITY", "80", `${good}80200c0000fde70000000100000002`],
    ["LOCAL_PREF", "c0", `${origin}400200${nextHop}c0050400000064`],
    ["ORIGINATOR_ID", "c0", `${goodInternal}c009040a000001`],
    ["CLUSTER_LIST", "c0", `${goodInternal}c00a040a000001`],
  ] as const
).map(([name, bits, attributes]) => ({
  rule: "RFC 7606 section 3 c",
  error: `flags of ${name}`,
  ...(["LOCAL_PREF", "ORIGINATOR_ID", "CLUSTER_LIST"].includes(name) ? { internal: true } : {}),
  message: update(attributes),
  outcome: withdraw,
  words: new RegExp(`${name} has flags 0x${bits}$`),
}));

const flags6: readonly MalformedRow[] = [
  {
    rule: "RFC 7606 section 3 c",
    error: "flags of MP_REACH_NLRI",
    message: update(`c00e1e${reach.slice(6)}${good}`, ""),
    outcome: withdraw6,
    words: /MP_REACH_NLRI has flags 0xc0$/,
  },
  {
    rule: "RFC 7606 sections 3 c and 5.2",
    error: "flags of MP_UNREACH_NLRI, which is alone",
    message: update(`c00f0c${unreach.slice(6)}`, ""),
    outcome: withdraw6,
    words: /MP_UNREACH_NLRI has flags 0xc0$/,
  },
];

const missing: readonly MalformedRow[] = [
  {
    rule: "RFC 7606 section 3 d",
    error: "ORIGIN is missing",
    message: update(`${path}${nextHop}`),
    outcome: withdraw,
    words: /ORIGIN is missing/,
  },
  {
    rule: "RFC 7606 section 3 d",
    error: "AS_PATH is missing",
    message: update(`${origin}${nextHop}`),
    outcome: withdraw,
    words: /AS_PATH is missing/,
  },
  {
    rule: "RFC 7606 section 3 d",
    error: "NEXT_HOP is missing",
    message: update(`${origin}${path}`),
    outcome: withdraw,
    words: /NEXT_HOP is missing/,
  },
  {
    rule: "RFC 7606 section 3 d",
    error: "AS_PATH is missing beside MP_REACH_NLRI",
    message: update(`${reach}${origin}`, ""),
    outcome: withdraw6,
    words: /AS_PATH is missing/,
  },
];

const repeated: readonly MalformedRow[] = [
  {
    rule: "RFC 7606 section 3 g",
    error: "ORIGIN twice, the second malformed",
    message: update(`${good}40010109`),
    outcome: keep({ origin: 0 }),
    words: /ORIGIN is there twice/,
  },
  {
    rule: "RFC 7606 section 3 g",
    error: "COMMUNITIES twice",
    message: update(`${good}c0080400010002c0080400030004`),
    outcome: keep({ communities: [0x10002] }),
    words: /COMMUNITIES is there twice/,
  },
  {
    rule: "RFC 7606 section 3 g",
    error: "an unknown attribute twice",
    message: update(`${good}c0630107c0630108`),
    outcome: keep({ unknown: [{ flags: 0xe0, code: 0x63, value: Uint8Array.of(7) }] }),
    words: /Attribute 99 is there twice/,
  },
  {
    rule: "RFC 7606 section 3 g",
    error: "MP_REACH_NLRI twice",
    message: update(`${reach}${reach}${good}`),
    outcome: reset("3/1"),
    words: /MP_REACH_NLRI is there twice/,
  },
  {
    rule: "RFC 7606 section 3 g",
    error: "MP_UNREACH_NLRI twice",
    message: update(`${unreach}${unreach}${good}`),
    outcome: reset("3/1"),
    words: /MP_UNREACH_NLRI is there twice/,
  },
];

const several: readonly MalformedRow[] = [
  {
    rule: "RFC 7606 section 3 h",
    error: "AGGREGATOR too short and MED twice: both discarded",
    message: update(`${good}c00706fde70a00000180040400000007 80040400000008`),
    outcome: { kind: "discard", without: "aggregator", kept: { med: 7 } },
    words: /AGGREGATOR of 6 octets/,
  },
  {
    rule: "RFC 7606 section 3 i",
    error: "one to discard and one to treat as withdraw",
    message: update(`${good}c00706fde70a000001c00803000000`),
    outcome: withdraw,
    words: /COMMUNITIES of 3 octets/,
  },
  {
    rule: "RFC 7606 section 3 i",
    error: "one to treat as withdraw and one to reset",
    message: update(`${good}c00803000000406300`),
    outcome: reset("3/2"),
    words: /Well-known attribute 99 is not known/,
  },
];

export const attributeRows: readonly MalformedRow[] = [
  ...flags,
  ...flags6,
  ...missing,
  ...repeated,
  ...several,
];
