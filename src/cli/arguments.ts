import { parseArgs } from "node:util";
import { errorMessage, InputError } from "../lib/errors.ts";

/** One option of a verb. */
export interface OptionSpec {
  readonly short?: string;
  /** Name of its value in the help; absent: a switch. */
  readonly value?: string;
  /** May be given several times. */
  readonly multiple?: true;
  /** Absent: accepted, not told of. */
  readonly help?: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** What was given. */
export interface Arguments {
  readonly words: readonly string[];
  has(option: string): boolean;
  /** The last value given. */
  value(option: string): string | undefined;
  values(option: string): readonly string[];
}

/** @throws {InputError} for an option that there is not, or that has no value or one too many. */
export function parseArguments(argv: readonly string[], specs: OptionSpecs): Arguments {
  const options = Object.fromEntries(
    Object.entries(specs).map(([name, { short, value }]) => [
      name,
      {
        type: value === undefined ? ("boolean" as const) : ("string" as const),
        multiple: true,
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options,
      allowPositionals: true,
    });
    const given = (option: string) => (values[option] ?? []) as readonly (string | boolean)[];
    return {
      words: positionals,
      has: (option) => given(option).length > 0,
      value: (option) => given(option).at(-1)?.toString(),
      values: (option) => given(option).map(String),
    };
  } catch (error) {
    throw new InputError(firstSentence(errorMessage(error)));
  }
}

/** The help of one verb: what it is for, how it is called, its options. */
export function verbHelp(summary: string, usage: string, options: OptionSpecs): string {
  return `${summary}\n\nUsage:\n  ${usage}\n\nOptions:\n${optionsHelp(options)}`;
}

/** Options as the help lists them. */
export function optionsHelp(specs: OptionSpecs): string {
  const rows = Object.entries(specs).flatMap(([name, { short, value, help }]) => {
    if (help === undefined) return [];
    const dash = short === undefined ? "    " : `-${short}, `;
    return [[`  ${dash}--${name}${value === undefined ? "" : `=${value}`}`, help] as const];
  });
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, help]) => `${left.padEnd(width)}${help}\n`).join("");
}

/** Node's hints about "--" help nobody here. */
function firstSentence(text: string): string {
  return text.split(/\. |\n/)[0] ?? text;
}
