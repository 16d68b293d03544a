/**
 * JSON in which integers keep every digit: one that a number cannot hold becomes a bigint, and a
 * bigint is written as its digits. Needed for `sequenceNumber` of IPAM blocks (facts appendix D 1).
 */

/** Strings, so that nothing is found inside of them, and integers that a number may not hold. */
const stringOrBig = /"(?:[^"\\]|\\.)*"|(?<![.\deE+-])-?[1-9]\d{15,}(?![\d.eE])/g;
const manyDigits = /\d{16}/;
/** Begins a string that stands for a bigint. In JSON the character is always escaped. */
const mark = "\u0001";
const escapedMark = "\\u0001";

/** @throws {SyntaxError} when `text` is not JSON. */
export function parseBigJson(text: string): unknown {
  // Plain parsing takes a quarter of the time: only where it may not do.
  if (!manyDigits.test(text)) return JSON.parse(text);
  if (text.includes(escapedMark))
    return JSON.parse(text, revive as Parameters<typeof JSON.parse>[1]);
  const marked = text.replace(stringOrBig, (token) =>
    token.startsWith('"') ? token : `"${escapedMark}${token}"`,
  );
  return unmarked(JSON.parse(marked));
}

/** In place: the value was parsed just now. Arrays are long, and mostly of numbers: `in` is slow for them. */
function unmarked(value: unknown): unknown {
  if (typeof value === "string") return value.startsWith(mark) ? integer(value.slice(1)) : value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) unmarkField(value, index);
  } else {
    for (const key in value) unmarkField(value as Record<string, unknown>, key);
  }
  return value;
}

function unmarkField<Key extends string | number>(fields: Record<Key, unknown>, key: Key): void {
  const field = fields[key];
  if (typeof field === "object" || typeof field === "string") fields[key] = unmarked(field);
}

function integer(digits: string): number | bigint {
  const number = Number(digits);
  return Number.isSafeInteger(number) ? number : BigInt(digits);
}

/** For any text, slowly: five times as long as the marks take for a block that is new. */
function revive(
  this: unknown,
  _key: string,
  value: unknown,
  context?: { source?: string },
): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
}

/** As JSON.stringify, with bigints as bare digits. */
export function stringifyBigJson(value: unknown, indent?: number): string {
  try {
    return JSON.stringify(value, undefined, indent);
  } catch (error) {
    // A bigint. A replacer makes writing several times as long: only where it is needed.
    if (!(error instanceof TypeError)) throw error;
    return JSON.stringify(value, (_key, item) => rawBigint(item), indent);
  }
}

function rawBigint(item: unknown): unknown {
  const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown };
  return typeof item === "bigint" ? rawJSON(item.toString()) : item;
}
