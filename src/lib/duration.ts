const unitSeconds: Readonly<Record<string, number>> = {
  h: 3600,
  m: 60,
  s: 1,
  ms: 1e-3,
  us: 1e-6,
  µs: 1e-6,
  ns: 1e-9,
};

/**
 * Whole seconds of a duration as Go writes it: "90s", "1m30s", "1.5h", "0".
 *
 * @throws {SyntaxError}
 */
export function durationSeconds(text: string): number {
  return Math.round(readSeconds(text));
}

/**
 * The same in milliseconds, with their fractions.
 *
 * @throws {SyntaxError}
 */
export function durationMs(text: string): number {
  return Math.round(readSeconds(text) * 1e6) / 1000;
}

function readSeconds(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d*)?)(ms|us|µs|ns|h|m|s)/g)];
  const isRead = text !== "" && parts.map(([part]) => part).join("") === text;
  if (!isRead && text !== "0") {
    throw new SyntaxError(`Cannot parse duration "${text}": it must be as in "90s" or "1m30s"`);
  }
  return parts.reduce(
    (sum, [, amount = "", unit = ""]) => sum + Number(amount) * (unitSeconds[unit] ?? 0),
    0,
  );
}
