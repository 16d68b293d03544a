import { durationMs } from "../../lib/duration.ts";
import { type IpAddr, type IpFamily, ipFamily, parseIpAddr } from "../../lib/ip-addr.ts";
import { type Prefix, parsePrefix } from "../../lib/prefix.ts";
import type { PortRange } from "../calc/updates.ts";
import type { ParameterType } from "./parameter.ts";

/** Types of single values and of plain lists. Those of a form of their own are in `forms.ts`. */

export const text: ParameterType<string> = { values: "text", parse: (given) => given, none: "" };

export function matching(pattern: RegExp, values: string): ParameterType<string> {
  return { values, parse: (given) => (pattern.test(given) ? given : refuse()), none: "" };
}

export const flag: ParameterType<boolean> = {
  values: "true or false",
  parse(given) {
    if (/^(true|1|yes|y|t)$/i.test(given)) return true;
    return /^(false|0|no|n|f)$/i.test(given) ? false : refuse();
  },
  none: false,
};

/** Of these, in any case of letters; read as they are written here. */
export function choice<const Choice extends string>(
  ...choices: readonly Choice[]
): ParameterType<Choice> {
  return {
    values: `one of ${choices.join(", ")}`,
    parse: (given) => choices.find((one) => one.toLowerCase() === given.toLowerCase()) ?? refuse(),
  };
}

export function integer(least: number, most: number): ParameterType<number> {
  return {
    values: `a whole number from ${least} to ${most}`,
    parse(given) {
      const value = /^(-?\d+|0x[0-9a-f]+)$/i.test(given) ? Number(given) : Number.NaN;
      return value >= least && value <= most ? value : refuse();
    },
    none: 0,
  };
}

export const port: ParameterType<number> = integer(0, 65535);

/** Milliseconds. A plain number counts `unit`s; 0 switches off what it paces. */
export function duration(unit: "seconds" | "milliseconds" = "seconds"): ParameterType<number> {
  return {
    values: `a duration like 90s, or a number of ${unit}`,
    parse(given) {
      if (!/^\d+(\.\d+)?$/.test(given)) return durationMs(given);
      return Number(given) * (unit === "seconds" ? 1000 : 1);
    },
    none: 0,
  };
}

export function address(family: IpFamily): ParameterType<IpAddr> {
  return {
    values: `an IPv${family} address`,
    parse(given) {
      const parsed = parseIpAddr(given);
      return ipFamily(parsed) === family ? parsed : refuse();
    },
  };
}

/** In Go's syntax, which has flags in front and names groups in its own way. */
export const regularExpression: ParameterType<RegExp> = {
  values: "a regular expression",
  parse(given) {
    const [, flags = "", source = ""] = /^(?:\(\?([imsU]+)\))?(.*)$/s.exec(given) ?? [];
    return new RegExp(source.replaceAll("(?P<", "(?<"), flags.replaceAll("U", ""));
  },
};

/** One of `type`, or nothing. */
export function maybe<Value>(type: ParameterType<Value>): ParameterType<Value | undefined> {
  return { ...type, none: undefined };
}

/** Parted by commas. */
export function list<Value>(
  of: string,
  item: (text: string) => Value,
): ParameterType<readonly Value[]> {
  return {
    values: `a list of ${of}, parted by commas`,
    parse: (given) =>
      given
        .split(",")
        .map((one) => one.trim())
        .filter((one) => one !== "")
        .map(item),
    none: [],
  };
}

export const cidrs: ParameterType<readonly Prefix[]> = list("CIDRs", parsePrefix);

/** "30000" or "30000:40000"; "0" is none. */
export const portRange: ParameterType<PortRange | undefined> = {
  values: "a port, or a range like 30000:40000",
  parse(given) {
    if (given === "0") return undefined;
    const [, first, last] = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(given) ?? [];
    const range = { first: Number(first), last: Number(last ?? first) };
    return range.first <= range.last && range.last <= 65535 ? range : refuse();
  },
  none: undefined,
};

export const portRanges: ParameterType<readonly PortRange[]> = list(
  "ports and ranges",
  (given) => portRange.parse(given) ?? refuse(),
);

/** The caller knows the parameter's name, its value and what it must be. */
export function refuse(): never {
  throw new RangeError("it is none of them");
}
