/**
 * JSON in which integers keep every digit: one that a number cannot hold becomes a bigint, and a
 * bigint is written as its digits. Needed for `sequenceNumber` of IPAM blocks (facts appendix D 1).
 */

type Reviver = (
  this: unknown,
  key: string,
  value: unknown,
  context?: { source?: string },
) => unknown;

/** An integer that a number cannot hold has 16 digits at least. */
const manyDigits = /\d{16}/;

/** @throws {SyntaxError} when `text` is not JSON. */
export function parseBigJson(text: string): unknown {
  // A reviver makes parsing ten times as long: only where it may be needed.
  if (!manyDigits.test(text)) return JSON.parse(text);
  const revive: Reviver = (_key, value, context) => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    const source = context?.source;
    return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
  };
  return JSON.parse(text, revive as Parameters<typeof JSON.parse>[1]);
}

/** As JSON.stringify, with bigints as bare digits. */
export function stringifyBigJson(value: unknown, indent?: number): string {
  const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown };
  return JSON.stringify(
    value,
    (_key, item) => (typeof item === "bigint" ? rawJSON(item.toString()) : item),
    indent,
  );
}
