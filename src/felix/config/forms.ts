import { parseInterfaceAddress, prefixOf } from "../../lib/prefix.ts";
import { allocateMarkBits, type MarkBits } from "../rules/mark-bits.ts";
import type { FailsafePort } from "../rules/rules-config.ts";
import type { ParameterType } from "./parameter.ts";
import { duration, flag, integer, refuse } from "./types.ts";
import type { FeatureOverrides, TableRange } from "./values.ts";

/** Types of parameters that have a form of their own (facts appendix A). */

export const interfacePrefixes: ParameterType<readonly string[]> = {
  values: "what interface names begin with, parted by commas",
  parse: (given) =>
    /^[a-zA-Z0-9_-]{1,15}(,[a-zA-Z0-9_-]{1,15})*$/.test(given) ? given.split(",") : refuse(),
};

/** Names, and patterns between slashes. A name stands for itself only. */
export const interfacePatterns: ParameterType<readonly RegExp[]> = {
  values: "interface names and /patterns/, parted by commas",
  parse: (given) =>
    given.split(",").map((one) => {
      if (/^\/[^\s]+\/$/.test(one)) return new RegExp(one.slice(1, -1));
      return /^[a-zA-Z0-9_-]{1,15}$/.test(one) ? new RegExp(`^${one}$`) : refuse();
    }),
  none: [],
};

export const markMask: ParameterType<MarkBits> = {
  values: "32 bits of which five or more are set, such as 0xffff0000",
  parse: (given) => allocateMarkBits(integer(1, 0xffffffff).parse(given)),
};

/** "tcp:22,udp:10.0.0.0/8:68", "22" for TCP; or as a resource has it: a list of objects. */
export const failsafePorts: ParameterType<readonly FailsafePort[]> = {
  values: 'ports like tcp:22,udp:10.0.0.0/8:68, or "none"',
  parse(given) {
    if (given.startsWith("[{")) return JSON.parse(given).map(failsafeObject);
    return given
      .split(",")
      .filter((item) => item !== "[]")
      .map((item) => failsafeText(item.trim()));
  },
  none: [],
};

/** "1-250,300-310", "5"; or as a resource has it: one object, or a list of them. */
export const tableRanges: ParameterType<readonly TableRange[]> = {
  values: "ranges of table numbers like 1-250",
  parse: (given) =>
    /^[[{]/.test(given) ? [JSON.parse(given)].flat().map(tableRange) : rangesText(given),
  none: [],
};

function rangesText(given: string): TableRange[] {
  return given.split(/[\s,]+/).map((text) => {
    const [, min = "", max = min] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
    return tableRange({ min: Number(min || "0"), max: Number(max || "0") });
  });
}

function tableRange({ min, max }: TableRange): TableRange {
  const fits = Number.isInteger(min) && Number.isInteger(max) && min >= 1 && max <= 0xffffffff;
  return fits && min <= max ? { min, max } : refuse();
}

function failsafeText(text: string): FailsafePort {
  const [, protocol = "tcp", net = "", port] =
    /^(?:(tcp|udp|sctp):)?(?:(.+):)?(\d+)$/i.exec(text) ?? [];
  return failsafeObject({ protocol, net: net.replaceAll(/[[\]]/g, ""), port: Number(port) });
}

function failsafeObject(item: { protocol?: string; net?: string; port?: number }): FailsafePort {
  const protocol = (["tcp", "udp", "sctp"] as const).find(
    (known) => known === (item.protocol ?? "tcp").toLowerCase(),
  );
  const { port, net } = item;
  if (protocol === undefined || port === undefined || !(port >= 1 && port <= 65535)) refuse();
  if (!net) return { protocol, port };
  const { address, length } = parseInterfaceAddress(net);
  return { protocol, port, net: prefixOf(address, length) };
}

/** Milliseconds by name: "InternalDataplaneMainLoop=5m"; or objects with `name` and `timeout`. */
export const timeoutsByName: ParameterType<Readonly<Record<string, number>>> = {
  values: "Name=duration, parted by commas",
  parse(given) {
    const pairs = given.startsWith("[{")
      ? (JSON.parse(given) as { name: string; timeout: string }[]).map(
          ({ name, timeout }) => [name, timeout] as const,
        )
      : keyValues.parse(given);
    const parse = duration().parse;
    return Object.fromEntries(
      (Array.isArray(pairs) ? pairs : Object.entries(pairs)).map(([name, value]) => [
        name,
        parse(value),
      ]),
    );
  },
  none: {},
};

/** "A=true,B=false". */
export const keyValues: ParameterType<Readonly<Record<string, string>>> = {
  values: "Name=value, parted by commas",
  parse(given) {
    const pairs = given
      .split(",")
      .map((one) => one.trim())
      .filter((one) => one !== "");
    return Object.fromEntries(
      pairs.map((pair) => {
        const [, name, value] = /^([^=]+)=(.*)$/.exec(pair) ?? refuse();
        return [name, value];
      }),
    );
  },
  none: {},
};

const featureNames = {
  SNATFullyRandom: "snatFullyRandom",
  MASQFullyRandom: "masqFullyRandom",
  RestoreSupportsLock: "restoreWait",
  ChecksumOffloadBroken: "checksumOffloadBroken",
} as const satisfies Readonly<Record<string, keyof FeatureOverrides>>;

/** Calico's names of features; those that have no meaning here are passed over. */
export const featureOverrides: ParameterType<FeatureOverrides> = {
  values: "Name=true or Name=false, parted by commas",
  parse(given) {
    const entries = Object.entries(keyValues.parse(given)).map(
      ([name, value]) => [name, flag.parse(value)] as const,
    );
    return Object.fromEntries(
      entries.flatMap(([name, value]) => {
        const known = Object.entries(featureNames).find(([calicos]) => calicos === name);
        return known === undefined ? [] : [[known[1], value]];
      }),
    );
  },
  none: {},
};
