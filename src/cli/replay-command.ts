import { open } from "node:fs/promises";
import { type RouteRow, ribRows } from "../bgp/control/rib-rows.ts";
import { replay } from "../bgp/record/replay.ts";
import { errorMessage, InputError } from "../lib/errors.ts";
import { parsePrefix } from "../lib/prefix.ts";
import { type OptionSpecs, parseArguments, verbHelp } from "./arguments.ts";
import { ribText } from "./bgp-tables.ts";
import type { CommandIo } from "./io.ts";

const options: OptionSpecs = {
  in: { value: "PEER", help: "as the peer has told them" },
  out: { value: "PEER", help: "as the peer is told them" },
  output: { short: "o", value: "FORMAT", help: "json; without it, text" },
  help: { short: "h", help: "show this" },
};

/** `tortie bgp replay`: the routes of a speaker after a recorded run. Gives the exit code. */
export async function runReplay(argv: readonly string[], io: CommandIo): Promise<number> {
  const args = parseArguments(argv, options);
  if (args.has("help")) {
    io.stdout.write(
      verbHelp("the routes of a recorded run", "tortie bgp replay FILE [PREFIX]", options),
    );
    return 0;
  }
  const [file, prefix] = args.words;
  if (file === undefined) throw new InputError("Cannot replay without FILE");
  const { speaker, events } = await replay(linesOf(file));
  const [from, to] = [args.value("in"), args.value("out")];
  const rows = ribRows(speaker, {
    ...(prefix !== undefined && { prefix: parsePrefix(prefix) }),
    ...(from !== undefined && { in: from }),
    ...(to !== undefined && { out: to }),
  });
  if (args.value("output") === "json") {
    for (const row of rows) if (row !== undefined) io.stdout.write(`${JSON.stringify(row)}\n`);
    return 0;
  }
  for await (const text of ribText(present(rows))) io.stdout.write(text);
  io.stderr.write(`${file}: ${events} events\n`);
  return 0;
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const file = await open(path).catch((error: unknown) => {
    throw new InputError(`Cannot read "${path}": ${errorMessage(error)}`, { cause: error });
  });
  yield* file.readLines();
}

async function* present(rows: Iterable<RouteRow | undefined>): AsyncGenerator<RouteRow> {
  for (const row of rows) if (row !== undefined) yield row;
}
