import { isScalar } from "yaml";
import { type Asn, parseAsn } from "../../lib/asn.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type IpAddr, type IpFamily, parseIpAddr } from "../../lib/ip-addr.ts";
import { type Prefix, parsePrefix } from "../../lib/prefix.ts";
import { dottedId } from "../config/bgp-nodes.ts";
import type { Community } from "../policy/peer-policy.ts";
import type { Read } from "./read.ts";

/** The kinds of single values that the speaker's file is made of. */

export const text: Read<string> = (at) =>
  at.text === undefined || at.text === "" ? at.wrong("must be a text") : at.text;

export const flag: Read<boolean> = (at) => {
  const value = isScalar(at.node) ? at.node.value : undefined;
  return typeof value === "boolean" ? value : at.wrong("must be true or false");
};

export function integer(min: number, max: number): Read<number> {
  return (at) => {
    const value = isScalar(at.node) ? at.node.value : undefined;
    const fits = typeof value === "number" && Number.isInteger(value) && value >= min;
    return fits && value <= max ? value : at.wrong(`must be a number from ${min} to ${max}`);
  };
}

export function oneOf<Word extends string>(...words: readonly Word[]): Read<Word> {
  return (at) =>
    words.find((word) => word === at.text) ?? at.wrong(`must be one of ${words.join(", ")}`);
}

/** RFC 7607 forbids 0, RFC 6793 has 23456 for AS_TRANS, RFC 7300 reserves the last of each size. */
export const asn: Read<Asn> = (at) => {
  if (at.text === undefined) return at.wrong("must be an AS number");
  try {
    const value = parseAsn(at.text);
    if (value === 0 || value === 4294967295) return at.wrong("must be 1 to 4294967294");
    if (value === 23456) return at.wrong("is AS_TRANS, which stands for others (RFC 6793)");
    return value;
  } catch {
    return at.wrong("must be an AS number: 1 to 4294967294, or as in 1.10");
  }
};

export const address: Read<IpAddr> = (at) => {
  if (at.text === undefined) return at.wrong("must be an address");
  try {
    return parseIpAddr(at.text);
  } catch {
    return at.wrong("must be an IPv4 or IPv6 address");
  }
};

export const prefix: Read<Prefix> = (at) => {
  if (at.text === undefined) return at.wrong("must be a prefix");
  if (!at.text.includes("/")) return at.wrong("must be a prefix as in 10.0.0.0/24");
  try {
    return parsePrefix(at.text);
  } catch (error) {
    return at.wrong(reasonOf(error));
  }
};

/** Router IDs and cluster IDs: not zero (RFC 6286). */
export const identifier: Read<number> = (at) => {
  try {
    const value = dottedId(at.text ?? "");
    return value === 0 ? at.wrong("must not be 0.0.0.0 (RFC 6286)") : value;
  } catch {
    return at.wrong("must be as in 10.0.0.1");
  }
};

export const family: Read<IpFamily> = (at) => {
  const name = oneOf("ipv4-unicast", "ipv6-unicast")(at);
  return name === undefined ? undefined : familyOfName[name];
};

const familyOfName = { "ipv4-unicast": 4, "ipv6-unicast": 6 } as const;

const wellKnown: Readonly<Record<string, number>> = {
  "graceful-shutdown": 0xffff0000,
  "llgr-stale": 0xffff0006,
  "no-llgr": 0xffff0007,
  blackhole: 0xffff029a,
  "no-export": 0xffffff01,
  "no-advertise": 0xffffff02,
  "no-export-subconfed": 0xffffff03,
};

/** "64512:1" (RFC 1997), "64512:1:2" (RFC 8092), or a well-known name. */
export const community: Read<Community> = (at) => {
  const written = at.text ?? "";
  const parts = written.split(":").map((part) => (/^\d{1,10}$/.test(part) ? Number(part) : -1));
  const [a = -1, b = -1, c = -1] = parts;
  const fit = (most: number) => parts.every((part) => part >= 0 && part <= most);
  if (parts.length === 2 && fit(0xffff)) return a * 0x10000 + b;
  if (parts.length === 3 && fit(0xffffffff)) return [a, b, c];
  return (
    wellKnown[written] ??
    at.wrong(`must be as in "64512:1" or "64512:1:2", or ${Object.keys(wellKnown).join(", ")}`)
  );
};

/** Without the "Cannot parse ...: " that names the value, as the place does that. */
function reasonOf(error: unknown): string {
  return errorMessage(error).replace(/^Cannot parse \w+ "[^"]*"(: )?/, "") || "must be a prefix";
}
