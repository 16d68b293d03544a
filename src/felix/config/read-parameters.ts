import { InputError } from "../../lib/errors.ts";
import { type Parameter, variableOf } from "./parameter.ts";
import { allParameters } from "./parameters.ts";
import type { ParameterValues } from "./values.ts";

type Spec = Readonly<Record<string, unknown>>;

export interface ConfigSources {
  /** spec of FelixConfiguration "default". */
  readonly global?: Spec;
  /** spec of FelixConfiguration "node.<name>". */
  readonly node?: Spec;
  /** The configuration file: values by parameters' names, in any case of letters. */
  readonly file?: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface ReadParameters {
  readonly values: ParameterValues;
  /** What was given and nothing acts on, as the source writes it. */
  readonly ignored: readonly string[];
  /** Wrong values, in whose place the default acts. */
  readonly problems: readonly string[];
}

/**
 * The effective parameters: defaults < global < node < file < environment (facts 2.8). An empty value counts
 * as not given. A wrong one is replaced by the default, as Calico does.
 *
 * @throws {InputError} for a wrong value that Calico does not replace either; names parameter and value.
 */
export function readParameters(sources: ConfigSources): ReadParameters {
  const { global = {}, node = {}, file = {}, env } = sources;
  const variables = new Map([...namedValues(file), ...felixVariables(env)]);
  const stored = { ...withoutEmpty(global), ...withoutEmpty(node) };
  const problems: string[] = [];
  const acting = Object.entries(allParameters).filter(([, { acts }]) => acts !== undefined);
  const values = acting.map(([name, parameter]) => {
    const local = variables.get(variableOf(name, parameter))?.value;
    const given = local ?? (parameter.options.local ? undefined : stored[name]);
    return [name, readValue(name, parameter, given, problems)] as const;
  });
  return {
    // The tables have the types of these values.
    values: Object.fromEntries(values) as unknown as ParameterValues,
    ignored: ignoredNames(Object.keys(stored), [...namedValues(file), ...felixVariables(env)]),
    problems,
  };
}

function withoutEmpty(spec: Spec): Readonly<Record<string, string>> {
  const texts = Object.entries(spec).map(([name, value]) => [name, textOf(value)] as const);
  return Object.fromEntries(texts.filter(([, text]) => text !== undefined)) as Record<
    string,
    string
  >;
}

/** As the environment would have it; a list of objects as JSON. */
function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  if (Array.isArray(value)) {
    if (value.length === 0) return "none";
    return value.every((one) => typeof one !== "object") ? value.join(",") : JSON.stringify(value);
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

interface Variable {
  /** As the file or the environment has it. */
  readonly name: string;
  readonly value: string;
}

/** By what stands behind FELIX_, in capitals: names count in any case of letters. */
function felixVariables(env: ConfigSources["env"]): ReadonlyMap<string, Variable> {
  return new Map(
    Object.entries(env).flatMap(([name, value]) => {
      const [, rest] = /^FELIX_(.+)$/i.exec(name) ?? [];
      return rest === undefined || !value ? [] : [[rest.toUpperCase(), { name, value }]];
    }),
  );
}

function namedValues(file: Readonly<Record<string, string>>): ReadonlyMap<string, Variable> {
  const given = Object.entries(file).filter(([, value]) => value !== "");
  return new Map(given.map(([name, value]) => [name.toUpperCase(), { name, value }]));
}

function readValue(
  name: string,
  { type, default: fallback, options }: Parameter,
  given: string | undefined,
  problems: string[],
): unknown {
  if (given === undefined || given === fallback) return readText(type, fallback);
  try {
    return readText(type, given);
  } catch (cause) {
    const problem = `Cannot accept Felix's parameter ${name} "${given}": it must be ${type.values}`;
    if (options.required) throw new InputError(problem, { cause });
    problems.push(`${problem}; ${fallback === "" ? "none" : fallback} acts instead`);
    return readText(type, fallback);
  }
}

function readText(type: Parameter["type"], text: string): unknown {
  if (text === "" || ("none" in type && text.toLowerCase() === "none")) return type.none;
  return type.parse(text);
}

/** The selection by labels is no parameter. */
const selectsNodes = "nodeSelector";

function ignoredNames(
  stored: readonly string[],
  variables: readonly (readonly [string, Variable])[],
): readonly string[] {
  const byVariable = new Map(
    Object.entries(allParameters).map(([name, parameter]) => [
      variableOf(name, parameter),
      parameter,
    ]),
  );
  const idle = (parameter: Parameter | undefined) => parameter?.acts === undefined;
  const fields = stored.filter(
    (name) =>
      name !== selectsNodes &&
      (idle(allParameters[name]) || allParameters[name]?.options.local === true),
  );
  const names = variables.flatMap(([variable, { name }]) =>
    idle(byVariable.get(variable)) ? [name] : [],
  );
  return [...fields.sort(), ...names.sort()];
}
