/** What values a parameter takes, and how they are read. */
export interface ParameterType<Value> {
  /** For the document, and for errors behind "it must be". */
  readonly values: string;
  /** @throws when the text is none of them. */
  parse(text: string): Value;
  /** What "none" stands for (facts 2.8: off). Absent where a value must be given. */
  readonly none?: Value;
}

/** One parameter of Felix (facts appendix A). */
export interface Parameter<Value = unknown> {
  readonly type: ParameterType<Value>;
  /** As the environment would give it. */
  readonly default: string;
  /** The test that fails when the parameter has no effect. */
  readonly acts?: string;
  /** Why nothing acts on it. */
  readonly ignored?: string;
  readonly options: ParameterOptions;
}

export interface ParameterOptions {
  /** Its name behind FELIX_ where it is not that of the resource's field in capitals. */
  readonly variable?: string;
  /** A wrong value stops felix, as it does Calico's; otherwise the default takes its place. */
  readonly required?: true;
  /** Only the environment has it. */
  readonly local?: true;
  /** What differs from Calico. */
  readonly note?: string;
}

/** Parameters by the name of their field in FelixConfiguration.spec. */
export type ParameterTable = Readonly<Record<string, Parameter>>;

/** A table in which the parameters whose values are read have the types of `Values`. */
export type TableOf<Values> = ParameterTable & {
  readonly [Name in keyof Values]: Parameter<Values[Name]>;
};

/** A parameter that acts. `test`: a file under test/. */
export function acts<Value>(
  type: ParameterType<Value>,
  fallback: string,
  test: string,
  options: ParameterOptions = {},
): Parameter<Value> {
  return { type, default: fallback, acts: `test/${test}.test.ts`, options };
}

/** A parameter that is known, and that nothing acts on. */
export function ignored<Value>(
  type: ParameterType<Value>,
  fallback: string,
  why: string,
  options: ParameterOptions = {},
): Parameter<Value> {
  return { type, default: fallback, ignored: why, options };
}

/** Name of the environment's variable, behind FELIX_. */
export function variableOf(name: string, { options }: Parameter): string {
  return (options.variable ?? name).toUpperCase();
}
