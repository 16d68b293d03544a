/** A value with its labels. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const sampleLine = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const labelPair = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/gy;

/**
 * Reads the text format of Prometheus, version 0.0.4.
 *
 * @throws {SyntaxError} for a line that is none, and for samples without their TYPE before them.
 */
export function parsePrometheusText(text: string): readonly Sample[] {
  if (!text.endsWith("\n")) throw new SyntaxError("The last line has no end");
  const types = new Set<string>();
  return text
    .slice(0, -1)
    .split("\n")
    .flatMap((line) => {
      const [, typed, kind] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
      if (typed !== undefined) {
        if (types.has(typed)) throw new SyntaxError(`TYPE twice: ${line}`);
        if (kind === "summary") for (const end of ["_sum", "_count"]) types.add(`${typed}${end}`);
        else if (kind !== "gauge" && kind !== "counter") {
          throw new SyntaxError(`Bad type: ${line}`);
        }
        types.add(typed);
      }
      if (line.startsWith("# ")) return [];
      const [, name = "", labels = "", value] = sampleLine.exec(line) ?? [];
      if (!types.has(name)) throw new SyntaxError(`Not a sample of a known type: ${line}`);
      const number = Number(value);
      if (Number.isNaN(number)) throw new SyntaxError(`Not a number: ${line}`);
      return [{ name, labels: labelsOf(labels), value: number }];
    });
}

function labelsOf(text: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  let end = 0;
  for (const [pair, key = "", value = ""] of text.matchAll(labelPair)) {
    labels[key] = value.replaceAll(/\\(.)/g, (_, char) => (char === "n" ? "\n" : char));
    end += pair.length;
  }
  if (end !== text.length) throw new SyntaxError(`Cannot read labels ${text}`);
  return labels;
}
