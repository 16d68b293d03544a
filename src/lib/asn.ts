import type { Brand } from "./brand.ts";

/** Autonomous system number, 0..2^32-1 (RFC 6793). */
export type Asn = Brand<number, "Asn">;

/**
 * Parses an AS number: plain ("64512") or dotted ("1.10", RFC 5396 asdot).
 *
 * @throws {SyntaxError} when `value` is neither, or out of range.
 */
export function parseAsn(value: string | number): Asn {
  const text = String(value);
  const dotted = /^(\d{1,5})\.(\d{1,5})$/.exec(text);
  if (dotted !== null) {
    const [high, low] = [Number(dotted[1]), Number(dotted[2])];
    if (high <= 0xffff && low <= 0xffff) return (high * 0x10000 + low) as Asn;
  } else if (/^\d{1,10}$/.test(text) && Number(text) <= 0xffffffff) {
    return Number(text) as Asn;
  }
  throw new SyntaxError(`Cannot parse AS number "${text}": it must be 0 to 4294967295, or a.b`);
}
