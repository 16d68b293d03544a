import type { ControlRequest } from "../bgp/control/protocol.ts";
import { nearest } from "../bgp/standalone/nearest.ts";
import { InputError } from "../lib/errors.ts";
import { type Prefix, parsePrefix } from "../lib/prefix.ts";
import type { Arguments, OptionSpecs } from "./arguments.ts";
import {
  linesJson,
  logText,
  peersText,
  peersWideText,
  peerText,
  type RowsText,
  refreshText,
  ribText,
  shutdownText,
  whyNotText,
  whyText,
} from "./bgp-tables.ts";
import type { CommandIo } from "./io.ts";
import { writeMrt } from "./write-mrt.ts";

/** One question to a speaker that runs. */
export interface BgpQuery {
  readonly usage: string;
  readonly summary: string;
  readonly options?: OptionSpecs;
  request(words: readonly string[], args: Arguments): ControlRequest;
  readonly text: RowsText;
  /** With -o wide; absent: as text. */
  readonly wide?: RowsText;
  /** Takes the answer, in place of printing it. */
  readonly write?: (rows: AsyncIterable<unknown>, args: Arguments, io: CommandIo) => Promise<void>;
  /** Its answer has exactly one row. */
  readonly single?: true;
}

/** By the word after `tortie bgp`. */
export const bgpQueries: Readonly<Record<string, BgpQuery>> = {
  peers: {
    usage: "peers",
    summary: "sessions, their states and counts of routes",
    request: () => ({ request: "peers" }),
    text: peersText,
    wide: peersWideText,
  },
  peer: {
    usage: "peer NAME",
    summary: "all that is known of one session",
    request: ([name]) => ({ request: "peer", name: word(name, "NAME") }),
    text: peerText,
    single: true,
  },
  rib: {
    usage: "rib [PREFIX] [--in PEER | --out PEER] [--limit N]",
    summary: "the chosen routes, or what a peer has told, or what it is told",
    options: {
      in: { value: "PEER", help: "as the peer has told them" },
      out: { value: "PEER", help: "as the peer is told them" },
      limit: { value: "N", help: "only a page of about so many" },
      cursor: { value: "CURSOR", help: "the page after the one that gave it" },
    },
    request: ([prefix], args) => ribRequest(prefix, args),
    text: ribText,
  },
  why: {
    usage: "why PREFIX",
    summary: "every path to a prefix, and the step at which it lost",
    request: ([prefix]) => ({ request: "why", prefix: prefixWord(prefix) }),
    text: whyText,
    single: true,
  },
  "why-not": {
    usage: "why-not PREFIX --to PEER",
    summary: "the rule by which a peer is not told of a prefix",
    options: { to: { value: "PEER", help: "name of the session" } },
    request: ([prefix], args) => ({
      request: "why-not",
      prefix: prefixWord(prefix),
      to: word(args.value("to"), "--to PEER"),
    }),
    text: whyNotText,
    single: true,
  },
  refresh: {
    usage: "refresh NAME [--in | --out]",
    summary: "ask a peer for its routes again, and send it ours",
    options: { in: { help: "only ask" }, out: { help: "only send" } },
    request: ([name], args) => ({
      request: "refresh",
      name: word(name, "NAME"),
      ...(args.has("in") === args.has("out")
        ? {}
        : { direction: args.has("in") ? ("in" as const) : ("out" as const) }),
    }),
    text: refreshText,
    single: true,
  },
  shutdown: {
    usage: "shutdown NAME [--message TEXT]",
    summary: "take a session down until `start`, with words for the peer (RFC 9003)",
    options: { message: { value: "TEXT", help: "at most 255 octets" } },
    request: ([name], args) => ({
      request: "shutdown",
      name: word(name, "NAME"),
      message: args.value("message") ?? "",
    }),
    text: shutdownText,
    single: true,
  },
  start: {
    usage: "start NAME",
    summary: "let a session start again after `shutdown`",
    request: ([name]) => ({ request: "start", name: word(name, "NAME") }),
    text: shutdownText,
    single: true,
  },
  dump: {
    usage: "dump --mrt FILE",
    summary: "every route of every peer as an MRT file (RFC 6396)",
    options: { mrt: { value: "FILE", help: "where it goes" } },
    request: (_, args) => {
      word(args.value("mrt"), "--mrt FILE");
      return { request: "dump" };
    },
    text: linesJson,
    write: (rows, args, io) => writeMrt(rows, args.value("mrt") ?? "", io),
  },
  log: {
    usage: "log [--follow]",
    summary: "the last lines of the speaker's log",
    options: { follow: { short: "f", help: "and those that come" } },
    request: (_, args) => ({ request: "log", follow: args.has("follow") }),
    text: logText,
  },
};

function ribRequest(prefix: string | undefined, args: Arguments): ControlRequest {
  const [from, to] = [args.value("in"), args.value("out")];
  if (from !== undefined && to !== undefined) {
    throw new InputError("Cannot show routes both --in and --out: give one of them");
  }
  return {
    request: "rib",
    ...(prefix === undefined ? {} : { prefix: prefixWord(prefix) }),
    ...(from === undefined ? {} : { in: from }),
    ...(to === undefined ? {} : { out: to }),
    ...pageOf(args),
  };
}

function pageOf(args: Arguments): { readonly limit?: number; readonly cursor?: string } {
  const [limit, cursor] = [args.value("limit"), args.value("cursor")];
  if (limit !== undefined && !/^[1-9]\d{0,8}$/.test(limit)) {
    throw new InputError(`Cannot show "${limit}" routes: --limit must be a number over 0`);
  }
  return {
    ...(limit === undefined ? {} : { limit: Number(limit) }),
    ...(cursor === undefined ? {} : { cursor }),
  };
}

function word(text: string | undefined, what: string): string {
  if (text === undefined) throw new InputError(`Cannot ask without ${what}`);
  return text;
}

function prefixWord(text: string | undefined): Prefix {
  try {
    return parsePrefix(word(text, "PREFIX"));
  } catch (error) {
    throw new InputError((error as Error).message);
  }
}

/** @throws {InputError} */
export function queryNamed(name: string): BgpQuery {
  const query = Object.hasOwn(bgpQueries, name) ? bgpQueries[name] : undefined;
  if (query !== undefined) return query;
  const like = nearest(name, Object.keys(bgpQueries));
  const hint = like === undefined ? "see tortie bgp --help" : `did you mean "${like}"?`;
  throw new InputError(`Cannot run "bgp ${name}": there is no such command; ${hint}`);
}

/** Words of the usage that stand for themselves: PREFIX, NAME. @throws {InputError} */
export function checkWordCount({ usage }: BgpQuery, words: readonly string[]): void {
  const known = usage.split(/ \[?--/)[0]?.split(" ").length ?? 1;
  const extra = words[known - 1];
  if (extra !== undefined)
    throw new InputError(`Cannot use "${extra}": usage: tortie bgp ${usage}`);
}
