const unitSeconds: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001 };

/**
 * Whole seconds of a duration as Go writes it: "90s", "1m30s", "1.5h".
 *
 * @throws {SyntaxError}
 */
export function durationSeconds(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  if (text === "" || parts.map(([part]) => part).join("") !== text) {
    throw new SyntaxError(`Cannot parse duration "${text}": it must be as in "90s" or "1m30s"`);
  }
  const seconds = parts.reduce(
    (sum, [, amount = "", unit = ""]) => sum + Number(amount) * (unitSeconds[unit] ?? 0),
    0,
  );
  return Math.round(seconds);
}
