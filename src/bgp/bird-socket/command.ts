import { isIpAddr, parseIpAddr } from "../../lib/ip-addr.ts";
import { hostPrefix, type Prefix, parsePrefix } from "../../lib/prefix.ts";

/** What a client of BIRD's control socket asks for. */
export type BirdCommand =
  | { readonly kind: "status" }
  | { readonly kind: "restrict" }
  | { readonly kind: "protocols"; readonly all: boolean; readonly name?: string }
  | { readonly kind: "routes"; readonly query: RouteQuery }
  /** Would change something: not here. */
  | { readonly kind: "denied" }
  | { readonly kind: "unknown" };

export interface RouteQuery {
  readonly prefix?: Prefix;
  /** The most specific prefix that has this one in it. */
  readonly covering?: Prefix;
  /** Session that has told it. */
  readonly protocol?: string;
  /** Session that is told of it. */
  readonly export?: string;
  readonly primary?: true;
  readonly all?: true;
  readonly count?: true;
}

const changing = [
  "configure",
  "disable",
  "enable",
  "restart",
  "reload",
  "down",
  "graceful",
  "debug",
];

/** Commands may be shortened, as in BIRD: "sh pr all". */
export function parseBirdCommand(line: string): BirdCommand {
  const [verb = "", what = "", ...rest] = line.trim().split(/\s+/);
  if (verb === "restrict") return { kind: "restrict" };
  if (changing.includes(verb)) return { kind: "denied" };
  if (!isShort(verb, "show", 2)) return { kind: "unknown" };
  if (isShort(what, "status", 2) && rest.length === 0) return { kind: "status" };
  if (isShort(what, "protocols", 1)) return protocols(rest);
  if (isShort(what, "route", 1)) return routes(rest);
  return { kind: "unknown" };
}

function isShort(word: string, full: string, least: number): boolean {
  return word.length >= least && full.startsWith(word);
}

function protocols(words: readonly string[]): BirdCommand {
  const all = words[0] === "all";
  const [name, ...more] = all ? words.slice(1) : words;
  if (more.length > 0) return { kind: "unknown" };
  return { kind: "protocols", all, ...(name === undefined ? {} : { name: unquoted(name) }) };
}

function routes(words: readonly string[]): BirdCommand {
  let query: RouteQuery = {};
  const left = [...words];
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    const more = clause(word, left);
    if (more === undefined) return { kind: "unknown" };
    query = { ...query, ...more };
  }
  return { kind: "routes", query };
}

/** One part of "show route". Takes its argument from `left`. */
function clause(word: string, left: string[]): RouteQuery | undefined {
  switch (word) {
    case "all":
    case "count":
    case "primary":
      return { [word]: true };
    case "table":
      return left.shift() === "master" ? {} : undefined;
    case "protocol":
    case "export": {
      const name = left.shift();
      return name === undefined ? undefined : { [word]: unquoted(name) };
    }
    case "for": {
      const covering = prefixOf(left.shift() ?? "");
      return covering === undefined ? undefined : { covering };
    }
    default: {
      const prefix = prefixOf(word);
      return prefix === undefined ? undefined : { prefix };
    }
  }
}

function prefixOf(word: string): Prefix | undefined {
  if (isIpAddr(word)) return hostPrefix(parseIpAddr(word));
  try {
    return parsePrefix(word);
  } catch {
    return undefined;
  }
}

function unquoted(word: string): string {
  return word.replace(/^"(.*)"$/, "$1");
}
