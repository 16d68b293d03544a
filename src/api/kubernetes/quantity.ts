const decimal: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  "": 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const binary: readonly string[] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const form = /^([+-]?)(\d+\.?\d*|\.\d+)(?:([eE][+-]?\d{1,2})|([KMGTPE]i|[numkMGTPE]?))$/;

/**
 * The whole number that a Kubernetes quantity ("10M", "4Gi", "1e3", "1.5k") stands for, rounded up as its `Value()`
 * does.
 *
 * @throws {SyntaxError}
 */
export function parseQuantity(text: string): number {
  const [, sign, digits = "", exponent, suffix = ""] = form.exec(text) ?? [];
  if (sign === undefined) throw new SyntaxError(`${JSON.stringify(text)} is no quantity`);
  const value = Number(digits) * factorOf(exponent, suffix);
  // What a product of decimal fractions adds is no unit.
  const whole = Math.ceil(Number(value.toPrecision(15)));
  return sign === "-" ? -whole : whole;
}

function factorOf(exponent: string | undefined, suffix: string): number {
  if (exponent !== undefined) return 10 ** Number(exponent.slice(1));
  const power = binary.indexOf(suffix) + 1;
  return power > 0 ? 1024 ** power : 10 ** (decimal[suffix] ?? 0);
}
