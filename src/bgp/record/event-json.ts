import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import { Secret } from "../../lib/secret.ts";
import { type NextHopSource, NextHops } from "../rib/next-hop.ts";
import { packPrefixes, unpackPrefix } from "../rib/packed-prefix.ts";
import type { PackedPrefixes, UpdateMessage } from "../wire/message.ts";

/**
 * What holds events of a speaker, as JSON. What JSON has no word for is an object with one key: {"$hex": "beef"}
 * for octets, {"$prefixes": ["10.0.0.0/8"]}, {"$map": [[key, value]]}, {"$nextHops": ...}. A secret is
 * left out: a speaker does not look at it.
 */
export function toJson(value: unknown): string {
  return JSON.stringify(plain(value));
}

/** The value of what toJson() gave. @throws {SyntaxError} */
export function fromJson(text: string): unknown {
  return JSON.parse(text, (_, value: unknown) => revived(value));
}

function plain(value: unknown): unknown {
  if (value instanceof Secret) return undefined;
  if (value instanceof Uint8Array) return { $hex: Buffer.from(value).toString("hex") };
  if (value instanceof Map) return { $map: [...value].map((pair) => pair.map(plain)) };
  if (value instanceof NextHops) return { $nextHops: plain(value.source) };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  if (isPacked(value)) return packedToJson(value);
  return Object.fromEntries(
    Object.entries(isUpdate(value) ? plainUpdate(value) : value).map(([key, each]) => [
      key,
      plain(each),
    ]),
  );
}

function revived(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("$hex" in value) return Uint8Array.from(Buffer.from(String(value.$hex), "hex"));
  if ("$map" in value) return new Map(value.$map as [unknown, unknown][]);
  if ("$nextHops" in value) return new NextHops(value.$nextHops as NextHopSource);
  return "$prefixes" in value ? packedFromJson(value as PackedJson) : value;
}

function isUpdate(value: object): value is UpdateMessage {
  return "kind" in value && value.kind === "update" && "withdrawn" in value;
}

/** An UPDATE that was received has its attributes behind a getter, and views of what is gone soon. */
function plainUpdate({
  kind,
  withdrawn,
  announced,
  endOfRib,
  attributes,
  treatedAsWithdraw,
}: UpdateMessage): UpdateMessage {
  return {
    kind,
    withdrawn,
    announced,
    endOfRib,
    ...(attributes !== undefined && { attributes }),
    ...(treatedAsWithdraw !== undefined && { treatedAsWithdraw }),
  };
}

interface PackedJson {
  readonly $prefixes: readonly Prefix[];
  readonly family: IpFamily;
  readonly pathIds?: readonly number[];
}

function isPacked(value: object): value is PackedPrefixes {
  return "words" in value && value.words instanceof Uint32Array && "lengths" in value;
}

function packedToJson(prefixes: PackedPrefixes): PackedJson {
  const { family, count, pathIds } = prefixes;
  return {
    $prefixes: Array.from({ length: count }, (_, index) => unpackPrefix(prefixes, index)),
    family,
    ...(pathIds !== undefined && { pathIds: [...pathIds] }),
  };
}

function packedFromJson({ $prefixes, family, pathIds }: PackedJson): PackedPrefixes {
  const packed = packPrefixes($prefixes, family);
  return pathIds === undefined ? packed : { ...packed, pathIds: Uint32Array.from(pathIds) };
}
