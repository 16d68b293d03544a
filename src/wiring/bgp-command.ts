import { parseArguments } from "../cli/arguments.ts";
import { bgpHelp, runBgpQuery } from "../cli/bgp-command.ts";
import type { CommandIo } from "../cli/io.ts";
import { runReplay } from "../cli/replay-command.ts";
import { InputError } from "../lib/errors.ts";

const options = {
  config: { short: "c", value: "FILE" },
  check: {},
  record: { value: "FILE" },
  reflector: {},
  help: { short: "h" },
} as const;

/**
 * `tortie bgp`: with a verb it asks the speaker that runs; with --config it is a speaker of its own
 * file; with --reflector a route reflector; else it is the speaker of a node. Each loads only what it needs. Gives the exit code.
 */
export async function runBgpCommand(argv: readonly string[], io: CommandIo): Promise<number> {
  const [first = ""] = argv;
  if (first === "replay") return runReplay(argv.slice(1), io);
  if (first !== "" && !first.startsWith("-")) return runBgpQuery(argv, io);
  const args = parseArguments(argv, options);
  if (args.has("help")) {
    io.stdout.write(bgpHelp);
    return 0;
  }
  const path = args.value("config");
  if (args.has("reflector")) {
    const other = (["config", "check", "record"] as const).find((name) => args.has(name));
    if (other !== undefined) throw new InputError(`Cannot accept --reflector with --${other}`);
    return (await import("./reflector.ts")).runReflectorProcess(io.env);
  }
  const file = args.value("record");
  const recording = file === undefined ? {} : { record: { path: file } };
  if (path === undefined) {
    if (args.has("check")) throw new InputError("Cannot check without --config FILE");
    return (await import("./bgp.ts")).runBgpProcess(io.env, recording);
  }
  const standalone = await import("./standalone.ts");
  return args.has("check")
    ? standalone.checkSpeakerFile(path)
    : standalone.runStandaloneProcess(path, io.env, recording);
}
