/** Names of differentiated services code points (RFC 2474, 2597 and 3246), as upstream knows them: there is no CS7. */
const named: ReadonlyMap<string, number> = new Map([
  ["DF", 0],
  ["EF", 46],
  ...[0, 1, 2, 3, 4, 5, 6].map((selector): [string, number] => [`CS${selector}`, 8 * selector]),
  ...[1, 2, 3, 4].flatMap((forwarding) =>
    [1, 2, 3].map((drop): [string, number] => [
      `AF${forwarding}${drop}`,
      8 * forwarding + 2 * drop,
    ]),
  ),
]);

/**
 * The code point, 0 to 63, of a number or a name in either case.
 *
 * @throws {SyntaxError}
 */
export function dscpValue(given: number | string): number {
  const text = String(given).trim().toUpperCase();
  const value = named.get(text) ?? (/^\d{1,3}$/.test(text) ? Number(text) : undefined);
  if (value !== undefined && value <= 63) return value;
  throw new SyntaxError(`${JSON.stringify(given)} is no DSCP: 0 to 63, or a name such as AF11`);
}
