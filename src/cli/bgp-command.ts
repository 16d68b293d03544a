import { defaultControlPath } from "../bgp/control/control-path.ts";
import { InputError } from "../lib/errors.ts";
import { type Arguments, type OptionSpecs, parseArguments, verbHelp } from "./arguments.ts";
import { type BgpQuery, bgpQueries, checkWordCount, queryNamed } from "./bgp-queries.ts";
import { linesJson, type RowsText } from "./bgp-tables.ts";
import { askControl } from "./control-client.ts";
import type { CommandIo, TextSink } from "./io.ts";
import { yamlText } from "./output/serialize.ts";

/** Options of every question. */
export const bgpOptions: OptionSpecs = {
  output: { short: "o", value: "FORMAT", help: "json, yaml or wide; without it, text" },
  socket: { value: "PATH", help: "the speaker's control socket (TORTIE_RUN_DIR/bgp.sock)" },
  help: { short: "h", help: "show this" },
};

/** `tortie bgp --help`. */
export const bgpHelp: string = `The BGP speaker of a node, or of its own file, and what it knows.

Usage:
  tortie bgp                             the speaker of this node (the datastore configures it)
  tortie bgp --reflector                 a route reflector for all nodes, as deploy/route-reflector.yaml has it
  tortie bgp --config FILE               a speaker without a datastore (docs/bgp-config.md)
  tortie bgp --config FILE --check       only says what is wrong with the file
  tortie bgp ... --record FILE           writes down all that the speaker hears
  tortie bgp replay FILE [PREFIX]        the routes of a recorded run
${Object.values(bgpQueries)
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
  const query = queryNamed(name);
  const options = { ...query.options, ...bgpOptions };
  const args = parseArguments(rest, options);
  if (args.has("help")) {
    io.stdout.write(verbHelp(query.summary, `tortie bgp ${query.usage}`, options));
    return 0;
  }
  checkWordCount(query, args.words);
  const print = printerOf(query, args);
  const path = args.value("socket") ?? defaultControlPath(io.env);
  const onPage = (cursor: string) => io.stderr.write(`There is more: --cursor ${cursor}\n`);
  const request = query.request(args.words, args);
  const rows = askControl(path, request, { signal, onPage });
  if (query.write !== undefined) {
    await query.write(rows, args, io);
    return 0;
  }
  for await (const text of print(rows)) {
    await written(io.stdout, text);
    if (signal.aborted) break;
  }
  return 0;
}

/** @throws {InputError} */
function printerOf(query: BgpQuery, args: Arguments): RowsText {
  const format = args.value("output") ?? "text";
  switch (format) {
    case "text":
      return query.text;
    case "wide":
      return query.wide ?? query.text;
    case "json":
      return query.single === true ? objectJson : linesJson;
    case "yaml":
      return query.single === true ? objectYaml : listYaml;
    default:
      throw new InputError(`Cannot print as "${format}": it must be json, yaml or wide`);
  }
}

/** Waits where the reader of a pipe is slow: a large RIB does not wait in our memory. */
async function written(sink: TextSink, text: string): Promise<void> {
  if (sink.write(text) !== false || sink !== process.stdout) return;
  const { stdout } = process;
  await new Promise<void>((resolve) => {
    const settle = () => {
      stdout.off("drain", settle).off("error", settle);
      resolve();
    };
    stdout.on("drain", settle).on("error", settle);
  });
}

async function* objectJson(rows: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const row of rows) yield `${JSON.stringify(row, null, 2)}\n`;
}

/** Ctrl-C, or a reader of our output that has gone, ends an answer. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  process.once("SIGINT", () => controller.abort());
  process.stdout.on("error", () => controller.abort());
  return controller.signal;
}

async function* objectYaml(rows: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const row of rows) yield await yamlText(row);
}

/** One list, made row by row. */
async function* listYaml(rows: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const row of rows) yield await yamlText([row]);
}
