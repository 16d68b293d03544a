import { good, goodInternal, nextHop, origin, path, update } from "./octets.ts";
import { discard, keep, type MalformedRow, type Outcome, withdraw } from "./row.ts";

/** A value that is wrong, of an attribute beside good ones. */
const values: readonly MalformedRow[] = (
  [
    ["RFC 7606 section 7.1", "ORIGIN 3", `40010103${path}${nextHop}`, withdraw],
    ["RFC 7606 section 7.1", "ORIGIN of 2 octets", `4001020000${path}${nextHop}`, withdraw],
    ["RFC 7606 section 7.1", "ORIGIN of 0 octets", `400100${path}${nextHop}`, withdraw],
    ["RFC 7606 section 7.2", "unknown type in AS_PATH", as("05010000fde7"), withdraw],
    ["RFC 7606 section 7.2", "overrun of AS_PATH", as("02020000fde7"), withdraw],
    ["RFC 7606 section 7.2", "one octet left in AS_PATH", as("02010000fde702"), withdraw],
    ["RFC 7606 section 7.2", "segment without an AS in AS_PATH", as("0200"), withdraw],
    ["RFC 7607 section 2", "AS 0 in AS_PATH", as("02020000fde700000000"), withdraw],
    ["RFC 5065 section 5", "confederation in AS_PATH of another AS", as("03010000fde7"), withdraw],
    ["RFC 7606 section 7.3", "NEXT_HOP of 5 octets", hop("0a630101ff"), withdraw],
    ["RFC 7606 section 7.3", "NEXT_HOP of 0 octets", hop(""), withdraw],
    ["RFC 4271 section 6.3", "NEXT_HOP 0.0.0.0", hop("00000000"), withdraw],
    ["RFC 4271 section 6.3", "NEXT_HOP 224.0.0.1", hop("e0000001"), withdraw],
    ["RFC 7606 section 7.4", "MULTI_EXIT_DISC of 3 octets", `${good}800403000001`, withdraw],
    ["RFC 7606 section 7.5", "LOCAL_PREF of another AS", `${good}40050400000007`, keep100()],
    ["RFC 7606 section 7.5", "LOCAL_PREF of another AS, too short", `${good}400501 07`, keep100()],
    [
      "RFC 7606 section 7.6",
      "ATOMIC_AGGREGATE of 1 octet",
      `${good}40060100`,
      discard("atomicAggregate"),
    ],
    [
      "RFC 7606 section 7.7",
      "AGGREGATOR of 6 octets",
      `${good}c00706fde70a000001`,
      discard("aggregator"),
    ],
    [
      "RFC 7607 section 2",
      "AS 0 in AGGREGATOR",
      `${good}c00708000000000a000001`,
      discard("aggregator"),
    ],
    ["RFC 7606 section 7.8", "COMMUNITIES of 5 octets", `${good}c008050000000000`, withdraw],
    ["RFC 7606 section 7.8", "COMMUNITIES of 0 octets", `${good}c00800`, withdraw],
    [
      "RFC 7606 section 7.9",
      "ORIGINATOR_ID of another AS",
      `${good}8009040a000001`,
      discard("originatorId"),
    ],
    [
      "RFC 7606 section 7.10",
      "CLUSTER_LIST of another AS",
      `${good}800a040a000001`,
      discard("clusterList"),
    ],
    [
      "RFC 7606 section 7.14",
      "EXTENDED_COMMUNITIES of 7 octets",
      `${good}c01007${"00".repeat(7)}`,
      withdraw,
    ],
    [
      "RFC 8092 section 5",
      "LARGE_COMMUNITY of 11 octets",
      `${good}c0200b${"00".repeat(11)}`,
      withdraw,
    ],
    ["RFC 8092 section 5", "LARGE_COMMUNITY of 0 octets", `${good}c02000`, withdraw],
    ["RFC 6793 section 6", "AS4_PATH without a segment", `${good}c01100`, keep({})],
  ] as const
).map(([rule, error, attributes, outcome]) => ({
  rule,
  error,
  message: update(attributes),
  outcome,
  words: new RegExp(/[A-Z][A-Z_4]{3,}/.exec(error)?.[0] ?? error),
}));

const internal: readonly MalformedRow[] = (
  [
    ["RFC 7606 section 7.5", "LOCAL_PREF of 3 octets", `${origin}400200${nextHop}400503000064`],
    ["RFC 7606 section 7.9", "ORIGINATOR_ID of 3 octets", `${goodInternal}8009030a0000`],
    ["RFC 7606 section 7.10", "CLUSTER_LIST of 5 octets", `${goodInternal}800a050a00000100`],
    ["RFC 7606 section 7.10", "CLUSTER_LIST of 0 octets", `${goodInternal}800a00`],
  ] as const
).map(([rule, error, attributes]) => ({
  rule,
  error,
  internal: true,
  message: update(attributes),
  outcome: withdraw,
  words: new RegExp(`${error} is malformed`),
}));

function as(segments: string): string {
  return `${origin}4002${(segments.length / 2).toString(16).padStart(2, "0")}${segments}${nextHop}`;
}

function hop(address: string): string {
  return `${origin}${path}4003${(address.length / 2).toString(16).padStart(2, "0")}${address}`;
}

/** The speaker's own LOCAL_PREF for what another AS tells. */
function keep100(): Outcome {
  return keep({ localPref: 100 });
}

export const valueRows: readonly MalformedRow[] = [...values, ...internal];
