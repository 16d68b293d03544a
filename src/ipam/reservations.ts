import type { IPReservation } from "../api/resources/ip-reservation.ts";
import {
  type Prefix,
  parsePrefix,
  prefixContains,
  prefixesOverlap,
  prefixSize,
} from "../lib/prefix.ts";

/**
 * What IPReservations keep back (facts 3.7), without those inside of others: each address is counted
 * once. One that cannot be parsed is left out.
 */
export function reservedPrefixes(reservations: readonly IPReservation[]): readonly Prefix[] {
  const all = new Set(
    reservations.flatMap(({ spec }) => (spec.reservedCIDRs ?? []).flatMap(prefixOrNone)),
  );
  return [...all].filter(
    (prefix) => ![...all].some((other) => other !== prefix && prefixContains(other, prefix)),
  );
}

function prefixOrNone(text: string): Prefix[] {
  try {
    return [parsePrefix(text)];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

/** How many addresses of a prefix are reserved. */
export function reservedSize(prefix: Prefix, reserved: readonly Prefix[]): bigint {
  let size = 0n;
  for (const each of reserved) {
    if (!prefixesOverlap(prefix, each)) continue;
    size += prefixContains(each, prefix) ? prefixSize(prefix) : prefixSize(each);
  }
  return size;
}

/** No address of the prefix may be given away. */
export function isReserved(prefix: Prefix, reserved: readonly Prefix[]): boolean {
  return reserved.length > 0 && reservedSize(prefix, reserved) === prefixSize(prefix);
}
