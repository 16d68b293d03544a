import type { IpAddr } from "../../lib/ip-addr.ts";
import { octetsOf } from "../wire/address-memo.ts";
import type { UpdateMessage } from "../wire/message.ts";
import { nextHopAttribute } from "../wire/route-bytes.ts";
import type { AttributeStore } from "./attribute-store.ts";

/** What the octets of an UPDATE mean in its session. */
export interface ReceivedFrom {
  readonly fourOctetAs: boolean;
  readonly external: boolean;
}

/** Flags of the attributes that are kept as they come, by code. */
const plainFlags: readonly (number | undefined)[] = plainTable();
const internalOnly = (1 << 5) | (1 << 9) | (1 << 10);
const atomicAggregate = 6;
const aggregator = 7;
const nextHopCode = 3;
const extendedLength = 0x10;

let joined = new Uint8Array(1024);
/** Where plainCodes() has found the value of NEXT_HOP. */
let nextHopAt = 0;

/**
 * Id of the attributes of one announcement, with one reference for the caller. Octets that mean what
 * they say are kept as they are; others (2-octet ASes, attributes to be left out or to be marked) are
 * decoded and written anew.
 */
export function internReceived(
  store: AttributeStore,
  update: UpdateMessage,
  nextHop: IpAddr,
  from: ReceivedFrom,
): number {
  const { rawAttributes: raw } = update;
  if (raw !== undefined && from.fourOctetAs) {
    const seen = plainCodes(raw);
    const isPlain = seen >= 0 && !(from.external && (seen & internalOnly) !== 0);
    const hasNextHop = (seen & (1 << nextHopCode)) !== 0;
    if (isPlain && !hasNextHop && nextHop.includes(":")) return internWith(store, raw, nextHop);
    // Prefixes of MP_REACH_NLRI have its next hop, whatever NEXT_HOP says (RFC 4760 section 3).
    if (isPlain && hasNextHop && hasOctets(raw, nextHopAt, octetsOf(nextHop))) {
      return store.internBytes(raw);
    }
  }
  const { attributes } = update;
  if (attributes === undefined) throw new TypeError("What is announced has attributes");
  return store.intern(attributes, nextHop);
}

function internWith(store: AttributeStore, raw: Uint8Array, nextHop: IpAddr): number {
  const attribute = nextHopAttribute(nextHop);
  const length = raw.length + attribute.length;
  if (length > joined.length) joined = new Uint8Array(length * 2);
  joined.set(raw);
  joined.set(attribute, raw.length);
  return store.internBytes(joined, length);
}

/** The codes as bits, or -1 when some octets cannot be kept. */
function plainCodes(raw: Uint8Array): number {
  let seen = 0;
  let at = 0;
  while (at < raw.length) {
    const flags = raw[at] as number;
    const code = raw[at + 1] as number;
    const isLong = (flags & extendedLength) !== 0;
    const length = isLong
      ? ((raw[at + 2] as number) << 8) | (raw[at + 3] as number)
      : (raw[at + 2] as number);
    const value = at + (isLong ? 4 : 3);
    if (plainFlags[code] !== (flags & ~extendedLength)) return -1;
    if (code === atomicAggregate && length !== 0) return -1;
    if (code === aggregator && !isAggregator(raw, value, length)) return -1;
    if (code === nextHopCode) nextHopAt = value;
    const bit = code === 32 ? 1 << 30 : 1 << code;
    if ((seen & bit) !== 0) return -1;
    seen |= bit;
    at = value + length;
  }
  return seen;
}

/** NEXT_HOP is 4 octets long: an IPv6 next hop is another. */
function hasOctets(raw: Uint8Array, at: number, octets: Uint8Array): boolean {
  if (octets.length !== 4) return false;
  for (let index = 0; index < 4; index++) if (raw[at + index] !== octets[index]) return false;
  return true;
}

/** AS (4), which is not 0, and address (4). */
function isAggregator(raw: Uint8Array, at: number, length: number): boolean {
  if (length !== 8) return false;
  return raw[at] !== 0 || raw[at + 1] !== 0 || raw[at + 2] !== 0 || raw[at + 3] !== 0;
}

function plainTable(): (number | undefined)[] {
  const table: (number | undefined)[] = Array.from({ length: 256 }, () => undefined);
  for (const code of [1, 2, 3, 5, 6]) table[code] = 0x40;
  for (const code of [4, 9, 10]) table[code] = 0x80;
  for (const code of [7, 8, 16, 32]) table[code] = 0xc0;
  return table;
}
