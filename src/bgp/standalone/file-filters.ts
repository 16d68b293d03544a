import { addressBits } from "../../lib/ip-addr.ts";
import { prefixFamily } from "../../lib/prefix.ts";
import type { FilterRule, RouteFilter, RouteOperation } from "../policy/peer-policy.ts";
import { defined } from "./defined.ts";
import { nearest } from "./nearest.ts";
import type { Placed } from "./read.ts";
import type { OperationValues, RuleValues, SpeakerValues } from "./values.ts";

export type FileFilters = ReadonlyMap<string, RouteFilter>;

/** The filters of the file, by name. */
export function readFilters({ filters = new Map() }: SpeakerValues): FileFilters {
  const read = new Map<string, RouteFilter>();
  for (const [name, rules] of filters) {
    read.set(name, { name, rules: rules.flatMap((rule: Placed<RuleValues>) => ruleOf(rule)) });
  }
  return read;
}

/** The filters that a neighbor names, in its order. */
export function filtersNamed(
  names: readonly Placed<string>[] | undefined,
  filters: FileFilters,
): readonly RouteFilter[] | undefined {
  return names?.flatMap(({ value, at }) => {
    const filter = filters.get(value);
    if (filter !== undefined) return [filter];
    const like = nearest(value, [...filters.keys()]);
    at.wrong(`there is no such filter${like === undefined ? "" : `, did you mean "${like}"?`}`);
    return [];
  });
}

function ruleOf({ value, at }: Placed<RuleValues>): readonly FilterRule[] {
  const { action, match, operations, ...conditions } = value;
  if (action === undefined) return [];
  if (operations !== undefined && action === "reject") {
    at.wrong("operations are of no use where action is reject");
  }
  return [
    {
      ...defined(conditions),
      ...defined({ match: matchOf(match), operations: operations?.flatMap(operationOf) }),
      action,
    },
  ];
}

function matchOf(match: RuleValues["match"]): FilterRule["match"] {
  if (match?.prefix === undefined) return undefined;
  const { prefix, operator = "in", minLength, maxLength } = match;
  const bits = addressBits[prefixFamily(prefix.value)];
  const wrong = [minLength, maxLength].find((length) => length !== undefined && length > bits);
  if (wrong !== undefined) prefix.at.wrong(`lengths must be 0 to ${bits}`, String(wrong));
  if (minLength !== undefined && maxLength !== undefined && minLength > maxLength) {
    prefix.at.wrong("minLength must not be over maxLength", `${minLength} > ${maxLength}`);
  }
  return { prefix: prefix.value, operator, ...defined({ minLength, maxLength }) };
}

function operationOf({ value, at }: Placed<OperationValues>): readonly RouteOperation[] {
  const { addCommunity, prependAsPath, setLocalPref, setMed, setPriority } = value;
  const found: RouteOperation[] = [];
  if (addCommunity !== undefined) found.push({ kind: "addCommunity", community: addCommunity });
  if (prependAsPath !== undefined) found.push({ kind: "prependAsPath", asns: prependAsPath });
  if (setLocalPref !== undefined) found.push({ kind: "setLocalPref", localPref: setLocalPref });
  if (setMed !== undefined) found.push({ kind: "setMed", med: setMed });
  if (setPriority !== undefined) found.push({ kind: "setPriority", priority: setPriority });
  if (Object.keys(value).length !== 1) at.wrong("must be one operation");
  return found;
}
