import { defaultControlPath } from "../bgp/control/control-path.ts";
import type { ControlRequest } from "../bgp/control/protocol.ts";
import { InputError } from "../lib/errors.ts";
import { type Prefix, parsePrefix } from "../lib/prefix.ts";
import { type Arguments, type OptionSpecs, optionsHelp, parseArguments } from "./arguments.ts";
import {
  logText,
  peersText,
  peerText,
  type RowsText,
  refreshText,
  ribText,
  shutdownText,
  whyNotText,
  whyText,
} from "./bgp-tables.ts";
import { askControl } from "./control-client.ts";
import type { CommandIo } from "./io.ts";
import { writeMrt } from "./write-mrt.ts";

/** One question to a speaker that runs. */
interface Query {
  readonly usage: string;
  readonly summary: string;
  readonly options?: OptionSpecs;
  request(words: readonly string[], args: Arguments): ControlRequest;
  readonly text: RowsText;
  /** Takes the answer, in place of printing it. */
  readonly write?: (rows: AsyncIterable<unknown>, args: Arguments, io: CommandIo) => Promise<void>;
  /** Its answer has exactly one row. */
  readonly single?: true;
}

const common: OptionSpecs = {
  output: { short: "o", value: "FORMAT", help: "json; without it, text" },
  socket: { value: "PATH", help: "the speaker's control socket (TORTIE_RUN_DIR/bgp.sock)" },
  help: { short: "h", help: "show this" },
};

const queries: Readonly<Record<string, Query>> = {
  peers: {
    usage: "peers",
    summary: "sessions, their states and counts of routes",
    request: () => ({ request: "peers" }),
    text: peersText,
  },
  peer: {
    usage: "peer NAME",
    summary: "all that is known of one session",
    request: ([name]) => ({ request: "peer", name: word(name, "NAME") }),
    text: peerText,
    single: true,
  },
  rib: {
    usage: "rib [PREFIX] [--in PEER | --out PEER]",
    summary: "the chosen routes, or what a peer has told, or what it is told",
    options: {
      in: { value: "PEER", help: "as the peer has told them" },
      out: { value: "PEER", help: "as the peer is told them" },
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

/** `tortie bgp --help`. */
export const bgpHelp: string = `The BGP speaker of a node, or of its own file, and what it knows.

Usage:
  tortie bgp                             the speaker of this node (the datastore configures it)
  tortie bgp --config FILE               a speaker without a datastore (docs/bgp-config.md)
  tortie bgp --config FILE --check       only says what is wrong with the file
  tortie bgp ... --record FILE           writes down all that the speaker hears
  tortie bgp replay FILE [PREFIX]        the routes of a recorded run
${Object.values(queries)
  .map(({ usage, summary }) => `  tortie bgp ${usage.padEnd(40)}${summary}\n`)
  .join("")}
A speaker with --config reads its file again at SIGHUP.
`;

/** Runs one question. `argv` is its name and its arguments. Gives the exit code. */
export async function runBgpQuery(
  argv: readonly string[],
  io: CommandIo,
  signal: AbortSignal = interruption(),
): Promise<number> {
  const [name = "", ...rest] = argv;
  const query = Object.hasOwn(queries, name) ? queries[name] : undefined;
  if (query === undefined) throw new InputError(`Cannot run "bgp ${name}": see tortie bgp --help`);
  const options = { ...query.options, ...common };
  const args = parseArguments(rest, options);
  if (args.has("help")) {
    io.stdout.write(
      `${query.summary}\n\nUsage:\n  tortie bgp ${query.usage}\n\nOptions:\n${optionsHelp(options)}`,
    );
    return 0;
  }
  const output = args.value("output") ?? "text";
  if (!["json", "text"].includes(output)) {
    throw new InputError(`Cannot print as "${output}": it must be json or text`);
  }
  const path = args.value("socket") ?? defaultControlPath(io.env);
  const rows = askControl(path, query.request(args.words, args), signal);
  if (query.write !== undefined) {
    await query.write(rows, args, io);
    return 0;
  }
  const print = output === "text" ? query.text : query.single === true ? objectJson : linesJson;
  for await (const text of print(rows)) io.stdout.write(text);
  return 0;
}

async function* objectJson(rows: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const row of rows) yield `${JSON.stringify(row, null, 2)}\n`;
}

/** A list may be long or endless: one object a line. */
async function* linesJson(rows: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const row of rows) yield `${JSON.stringify(row)}\n`;
}

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

/** Ctrl-C, or a reader of our output that has gone, ends an answer. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  process.once("SIGINT", () => controller.abort());
  process.stdout.once("error", () => controller.abort());
  return controller.signal;
}
