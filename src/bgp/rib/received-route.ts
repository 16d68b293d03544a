import type { IpAddr } from "../../lib/ip-addr.ts";
import { octetsOf } from "../wire/address-memo.ts";
import type { UpdateMessage } from "../wire/message.ts";
import { internalOnly, nextHopAt, plainCodes } from "../wire/plain-update.ts";
import { nextHopAttribute } from "../wire/route-bytes.ts";
import type { AttributeStore } from "./attribute-store.ts";

/** What the octets of an UPDATE mean in its session. */
export interface ReceivedFrom {
  readonly fourOctetAs: boolean;
  readonly external: boolean;
}

const nextHopCode = 3;

let joined = new Uint8Array(1024);

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
    const seen = plainCodes(raw, 0, raw.length);
    const isPlain = seen >= 0 && !(from.external && (seen & internalOnly) !== 0);
    const hasNextHop = (seen & (1 << nextHopCode)) !== 0;
    if (isPlain && !hasNextHop && nextHop.includes(":")) return internWith(store, raw, nextHop);
    // Prefixes of MP_REACH_NLRI have its next hop, whatever NEXT_HOP says (RFC 4760 section 3).
    if (isPlain && hasNextHop && hasOctets(raw, nextHopAt(raw, 0, raw.length), octetsOf(nextHop))) {
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

/** NEXT_HOP is 4 octets long: an IPv6 next hop is another. */
function hasOctets(raw: Uint8Array, at: number, octets: Uint8Array): boolean {
  if (octets.length !== 4) return false;
  for (let index = 0; index < 4; index++) if (raw[at + index] !== octets[index]) return false;
  return true;
}
