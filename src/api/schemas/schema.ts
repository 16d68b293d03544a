/**
 * Schemas as functions: each looks at one value, notes what is wrong with it under its path, and
 * returns the value with nulls dropped: the very same value where nothing is dropped or changed. Small
 * on purpose: no library says so plainly what is wrong, and none loads in a millisecond.
 */
export interface Check {
  (value: unknown, path: string, report: Report): unknown;
  /** What it accepts as far as an API server can say so. Absent: anything. */
  readonly schema?: ServerSchema;
}

/** A schema as a CustomResourceDefinition has it: OpenAPI v3, structural. */
export type ServerSchema = Readonly<Record<string, unknown>>;

/** For what a newer release may have written: the server would drop it. */
const keepsUnknown = { "x-kubernetes-preserve-unknown-fields": true } as const;

/** The check, which is nobody else's, with what it accepts. */
export function described(schema: ServerSchema, check: Check): Check {
  return Object.assign(check, { schema });
}

/** The schema of a check that may have none. */
export function serverSchema({ schema }: Check): ServerSchema {
  return schema ?? keepsUnknown;
}

export interface Problem {
  /** "spec.ingress[0].protocol". Empty: the whole value. */
  readonly path: string;
  /** "must be 20 to 32, got 8". */
  readonly message: string;
  /** A field of the wrong type or name: the text was not meant for this schema at all. */
  readonly structural: boolean;
}

/** Where checks put their findings. */
export interface Report {
  readonly problems: Problem[];
  /** "keep" for what the datastore holds: a newer version may have written it (facts D69). */
  readonly unknownFields: "refuse" | "keep";
  /** Only whether there is a problem: no paths are made, and those of problems say nothing. */
  readonly pathless?: boolean;
}

export type Fields = Readonly<Record<string, Check>>;

/** Longest piece of a value that a message repeats. */
const maxShownLength = 80;

/** Notes that a value of the right type is not acceptable. */
export function refuse(report: Report, path: string, message: string): void {
  report.problems.push({ path, message, structural: false });
}

/** Notes that `value` is not `wanted`: "must be ..., got ...". */
export function mustBe(report: Report, path: string, wanted: string, value: unknown): void {
  refuse(report, path, `must be ${wanted}, got ${shown(value)}`);
}

/** The value as a message shows it. */
export function shown(value: unknown): string {
  const text = typeof value === "bigint" ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length <= maxShownLength ? text : `${text.slice(0, maxShownLength)}...`;
}

/**
 * An object with these fields and, unless unknown ones are kept, no others. A field of null is
 * absent. `refine` sees the result when every field was of the right type.
 */
export function object(
  fields: Fields,
  options: {
    readonly required?: readonly string[];
    readonly refine?: (value: Record<string, unknown>, path: string, report: Report) => void;
  } = {},
): Check {
  const { required = [] } = options;
  const checks = new Map(Object.entries(fields));
  const schema = {
    type: "object",
    ...(required.length > 0 ? { required } : {}),
    properties: Object.fromEntries(
      Object.entries(fields).map(([name, check]) => [name, serverSchema(check)]),
    ),
    ...keepsUnknown,
  };
  return described(schema, (value, path, report) => {
    if (!isObject(value)) return wrongType(report, path, "an object", value);
    const before = report.problems.length;
    const result = eachField(value, (given, name) => {
      const check = checks.get(name);
      if (check !== undefined) return check(given, fieldPath(path, name, report), report);
      if (report.unknownFields === "keep" && name !== "__proto__") return given;
      const message = "unknown field";
      report.problems.push({ path: fieldPath(path, name, report), message, structural: true });
      return undefined;
    });
    for (const name of required) {
      if (value[name] !== undefined && value[name] !== null) continue;
      refuse(report, fieldPath(path, name, report), "is required");
    }
    if (report.problems.length === before) options.refine?.(result, path, report);
    return result;
  });
}

/** An array of at most `max` items. */
export function array(item: Check, max: number = Number.POSITIVE_INFINITY): Check {
  const schema = {
    type: "array",
    ...(Number.isFinite(max) ? { maxItems: max } : {}),
    items: serverSchema(item),
  };
  return described(schema, (value, path, report) => {
    if (!Array.isArray(value)) return wrongType(report, path, "an array", value);
    if (value.length > max) refuse(report, path, `has ${value.length} items, at most ${max} fit`);
    let result: unknown[] = value;
    // By index: entries() makes an array for each of many items.
    for (let index = 0; index < value.length; index++) {
      const element: unknown = value[index];
      const at = report.pathless === true ? path : `${path}[${index}]`;
      const checked = item(element, at, report);
      if (checked === element) continue;
      if (result === value) result = [...value];
      result[index] = checked;
    }
    return result;
  });
}

/** A string that `parse` accepts: what it throws becomes the message. */
export function text(parse?: (value: string) => unknown): Check {
  return described({ type: "string" }, (value, path, report) => {
    if (typeof value !== "string") return wrongType(report, path, "a string", value);
    try {
      parse?.(value);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      refuse(report, path, error.message);
    }
    return value;
  });
}

/** A string of this form; `what` says it in words. */
export function matching(pattern: RegExp, what: string): Check {
  return text((value) => {
    if (!pattern.test(value)) throw new SyntaxError(`must be ${what}, got ${shown(value)}`);
  });
}

/** One of these strings, exactly. */
export function oneOf(...values: readonly string[]): Check {
  return described({ type: "string", enum: values }, (value, path, report) => {
    if (typeof value !== "string") return wrongType(report, path, "a string", value);
    if (!values.includes(value)) mustBe(report, path, orList(values), value);
    return value;
  });
}

/** One of these strings in any case, as a field of Felix may be written. */
export function oneOfAnyCase(...values: readonly string[]): Check {
  const schema = { type: "string", pattern: `^(?i)(${values.join("|")})$` };
  return described(schema, (value, path, report) => {
    if (typeof value !== "string") return wrongType(report, path, "a string", value);
    if (!values.some((known) => known.toLowerCase() === value.toLowerCase())) {
      mustBe(report, path, orList(values), value);
    }
    return value;
  });
}

/** An integer from `min` to `max`. */
export function integer(min: number, max: number): Check {
  const schema = {
    type: "integer",
    minimum: min,
    ...(max < Number.MAX_SAFE_INTEGER ? { maximum: max } : {}),
  };
  return described(schema, (value, path, report) => {
    if (typeof value !== "number") return wrongType(report, path, "a number", value);
    if (!Number.isInteger(value) || value < min || value > max) {
      mustBe(report, path, `an integer from ${min} to ${max}`, value);
    }
    return value;
  });
}

/** A finite number. */
export const number: Check = described({ type: "number" }, (value, path, report) =>
  typeof value === "number" && Number.isFinite(value)
    ? value
    : wrongType(report, path, "a number", value),
);

export const boolean: Check = described({ type: "boolean" }, (value, path, report) =>
  typeof value === "boolean" ? value : wrongType(report, path, "true or false", value),
);

/** Whatever it is. */
export const anything: Check = (value) => value;

/** An object whose values are all checked alike. */
export function map(item: Check): Check {
  const schema = { type: "object", additionalProperties: serverSchema(item) };
  return described(schema, (value, path, report) => {
    if (!isObject(value)) return wrongType(report, path, "an object", value);
    return eachField(value, (given, name) => {
      const at = report.pathless === true ? path : `${path}[${shown(name)}]`;
      return item(given, at, report);
    });
  });
}

/** A number by one check, a string by another. */
export function numberOr(ofNumber: Check, otherwise: Check): Check {
  return described({ "x-kubernetes-int-or-string": true }, (value, path, report) =>
    typeof value === "number" ? ofNumber(value, path, report) : otherwise(value, path, report),
  );
}

/** An array in which no item stands twice. */
export function distinct(items: Check): Check {
  return described({ ...items.schema }, (value, path, report) => {
    const result = items(value, path, report);
    if (!Array.isArray(result)) return result;
    const twice = result.find((each, index) => result.indexOf(each) !== index);
    if (twice !== undefined) refuse(report, path, `has ${shown(twice)} twice`);
    return result;
  });
}

/** An array with one item at least. */
export function notEmpty(items: Check): Check {
  return described({ ...items.schema, minItems: 1 }, (value, path, report) => {
    const result = items(value, path, report);
    if (Array.isArray(result) && result.length === 0) refuse(report, path, "may not be empty");
    return result;
  });
}

/**
 * The object with what `check` makes of each field that is not null, without those of which it makes
 * nothing. The same object where that is the same.
 */
function eachField(
  value: Record<string, unknown>,
  check: (given: unknown, name: string) => unknown,
): Record<string, unknown> {
  const names = Object.keys(value);
  let result: Record<string, unknown> | undefined;
  for (let index = 0; index < names.length; index++) {
    const name = names[index] ?? "";
    const given = value[name];
    const checked = given === null || given === undefined ? undefined : check(given, name);
    if (result === undefined) {
      if (checked === given && given !== undefined) continue;
      result = {};
      for (const earlier of names.slice(0, index)) result[earlier] = value[earlier];
    }
    if (checked !== undefined) result[name] = checked;
  }
  return result ?? value;
}

function fieldPath(path: string, name: string, report: Report): string {
  if (report.pathless === true) return path;
  return path === "" ? name : `${path}.${name}`;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrongType(report: Report, path: string, wanted: string, value: unknown): undefined {
  const message = `must be ${wanted}, got ${shown(value)}`;
  report.problems.push({ path, message, structural: true });
  return undefined;
}

function orList(all: readonly string[]): string {
  const values = all.map((value) => (value === "" ? "empty" : value));
  return values.length < 2
    ? values.join("")
    : `${values.slice(0, -1).join(", ")} or ${values.at(-1)}`;
}
