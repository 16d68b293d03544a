import { good, message, nextHop, nextHop6, path, prefix, prefix6, update } from "./octets.ts";
import { type MalformedRow, reset, withdraw, withdraw6 } from "./row.ts";

const lengths: readonly MalformedRow[] = [
  {
    rule: "RFC 7606 section 4",
    error: "an attribute runs past the attributes",
    message: update(`${good}80040900000001`),
    outcome: withdraw,
    words: /Attribute 4 of 9 octets runs past the attributes/,
  },
  {
    rule: "RFC 7606 section 4",
    error: "an extended length runs past the attributes",
    message: update(`${good}9004ffff00000001`),
    outcome: withdraw,
    words: /Attribute 4 of 65535 octets runs past the attributes/,
  },
  {
    rule: "RFC 7606 section 4",
    error: "two octets where an attribute begins",
    message: update(`${good}8004`),
    outcome: withdraw,
    words: /2 octets are left where an attribute begins/,
  },
  {
    rule: "RFC 7606 section 3 b",
    error: "Total Path Attribute Length runs past the message",
    message: message(2, `000000ff${good}${prefix}`),
    outcome: reset("3/1"),
    words: /Path attributes of 255 octets run past the message/,
  },
  {
    rule: "RFC 7606 section 3 b",
    error: "Withdrawn Routes Length runs past the message",
    message: message(2, `00ff0000${good}${prefix}`),
    outcome: reset("3/1"),
    words: /Withdrawn Routes of 255 octets run past the message/,
  },
];

const nlri: readonly MalformedRow[] = [
  {
    rule: "RFC 7606 section 5.2",
    error: "an error without a prefix to withdraw",
    message: update(`40010109${path}${nextHop}`, ""),
    outcome: reset("3/1"),
    words: /ORIGIN of 1 octets is malformed/,
  },
  {
    rule: "RFC 7606 section 5.3",
    error: "a prefix of 33 bits",
    message: update(good, `${prefix}210a00000000`),
    outcome: reset("3/10"),
    words: /NLRI hold a malformed prefix/,
  },
  {
    rule: "RFC 7606 section 5.3",
    error: "a prefix is cut",
    message: update(good, `${prefix}180a`),
    outcome: reset("3/10"),
    words: /NLRI hold a malformed prefix/,
  },
  {
    rule: "RFC 7606 section 5.3",
    error: "a withdrawn prefix of 40 bits",
    message: update("", "", `280a00000000`),
    outcome: reset("3/10"),
    words: /Withdrawn Routes hold a malformed prefix/,
  },
  {
    rule: "RFC 7606 sections 5.3 and 7.11",
    error: "a prefix of 129 bits in MP_REACH_NLRI",
    message: update(`800e16000201${nextHop6}0081${good}`, ""),
    outcome: reset("3/9"),
    words: /MP_REACH_NLRI of 22 octets is malformed/,
  },
  {
    rule: "RFC 7606 section 7.11",
    error: "a next hop of 8 octets in MP_REACH_NLRI",
    message: update(`800e0d00020108fd0000000000000100${good}`, ""),
    outcome: reset("3/9"),
    words: /MP_REACH_NLRI of 13 octets is malformed/,
  },
  {
    rule: "RFC 7606 section 7.11",
    error: "MP_REACH_NLRI of 4 octets",
    message: update(`800e0400020110${good}`, ""),
    outcome: reset("3/9"),
    words: /MP_REACH_NLRI of 4 octets is malformed/,
  },
  {
    rule: "RFC 7606 sections 5.3 and 7.12",
    error: "a prefix is cut in MP_UNREACH_NLRI",
    message: update("800f0500020140fd", ""),
    outcome: reset("3/9"),
    words: /MP_UNREACH_NLRI of 5 octets is malformed/,
  },
  {
    rule: "RFC 7606 section 7.12",
    error: "MP_UNREACH_NLRI of 2 octets",
    message: update("800f020002", ""),
    outcome: reset("3/9"),
    words: /MP_UNREACH_NLRI of 2 octets is malformed/,
  },
  {
    rule: "RFC 4760 section 3 and RFC 4271 section 6.3",
    error: "next hop :: in MP_REACH_NLRI",
    message: update(`800e1e00020110${"00".repeat(16)}00${prefix6}${good}`, ""),
    outcome: withdraw6,
    words: /The next hop of MP_REACH_NLRI is not a host/,
  },
  {
    rule: "RFC 4271 section 6.3",
    error: "an unknown well-known attribute",
    message: update(`${good}406300`),
    outcome: reset("3/2"),
    words: /Well-known attribute 99 is not known/,
  },
];

/** Messages that are no UPDATE, or none that can be cut out of the stream. */
const headers: readonly MalformedRow[] = (
  [
    [
      "a marker that is not all ones",
      `${"ff".repeat(15)}fe001304`,
      "1/1",
      /marker is not all ones/,
    ],
    ["a length of 18 octets", `${"ff".repeat(16)}001204`, "1/2", /type 4 is 18 octets/],
    ["a length of 4097 octets", `${"ff".repeat(16)}100102`, "1/2", /type 2 is 4097 octets/],
    ["KEEPALIVE of 20 octets", message(4, "00"), "1/2", /type 4 is 20 octets/],
    ["UPDATE of 22 octets", message(2, "000000"), "1/2", /type 2 is 22 octets/],
    ["NOTIFICATION of 20 octets", message(3, "06"), "1/2", /type 3 is 20 octets/],
    ["a message of type 0", message(0, ""), "1/3", /message type is 0/],
    ["a message of type 6", message(6, ""), "1/3", /message type is 6/],
  ] as const
).map(([error, octets, notification, words]) => ({
  rule: "RFC 4271 section 6.1",
  error,
  message: octets,
  outcome: reset(notification),
  words,
}));

const others: readonly MalformedRow[] = [
  {
    rule: "RFC 2918 section 3",
    error: "ROUTE-REFRESH of 22 octets",
    message: message(5, "000100"),
    outcome: reset("1/2"),
    words: /type 5 is 22 octets/,
  },
  {
    rule: "RFC 7313 section 5",
    error: "BoRR with an octet behind it",
    message: message(5, "0001010100"),
    outcome: reset("7/1"),
    words: /ROUTE-REFRESH of subtype 1 has a body of 5 octets/,
  },
  {
    rule: "RFC 6608 section 3",
    error: "OPEN in Established",
    message: message(1, "04fde7005a0a0000fe00"),
    outcome: reset("5/3"),
    words: /open.* in Established/i,
  },
];

export const framingRows: readonly MalformedRow[] = [...lengths, ...nlri, ...headers, ...others];
