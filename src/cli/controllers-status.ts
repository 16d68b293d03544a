import {
  type ControllersStatus,
  readStatus,
  statusFile,
  statusProblem,
} from "../controllers/status-file.ts";
import { type OptionSpecs, parseArguments, verbHelp } from "./arguments.ts";
import type { CommandIo } from "./io.ts";

const options: OptionSpecs = {
  live: { short: "l", help: "whether they run" },
  ready: { short: "r", help: "whether they reach the datastore" },
  help: { help: "show this" },
};

/** `tortie controllers status`: what probes ask (facts 7.7). Gives the exit code: 1 when they are not. */
export function runControllersStatus(
  argv: readonly string[],
  io: CommandIo,
  now: Date = new Date(),
): number {
  const args = parseArguments(argv, options);
  if (args.has("help")) {
    io.stdout.write(
      verbHelp(
        "how the controllers on this machine are",
        "tortie controllers status [--live] [--ready]",
        options,
      ),
    );
    return 0;
  }
  const questions = (["live", "ready"] as const).filter((question) => args.has(question));
  if (questions.length === 0) io.stdout.write(statusText(readStatus(statusFile(io.env))));
  for (const question of questions) {
    const problem = statusProblem(statusFile(io.env), question, now);
    if (problem === "") continue;
    io.stderr.write(`The controllers are not ${question}: ${problem}\n`);
    return 1;
  }
  return 0;
}

function statusText({ time, reason, isLeading, reflectors }: ControllersStatus): string {
  const { phase = "not known here", reason: why = "", uncovered = 0 } = reflectors ?? {};
  const elected = reflectors?.reflectors ?? [];
  const lines = [
    `As of ${time}`,
    `Datastore: ${reason === "" ? "answers" : reason}`,
    `Controllers: ${isLeading === true ? "at work" : "waiting, as another process has the lease"}`,
    `Route reflectors: ${why === "" ? phase : `${phase}: ${why}`}`,
    ...(elected.length === 0 ? [] : [`Elected: ${elected.join(", ")}`]),
    ...(uncovered === 0 ? [] : [`Nodes without a session with any: ${uncovered}`]),
  ];
  return lines.map((line) => `${line}\n`).join("");
}
