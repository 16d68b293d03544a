import { existsSync } from "node:fs";
import { type OptionSpecs, optionsHelp, parseArguments } from "../cli/arguments.ts";
import type { CommandIo } from "../cli/io.ts";
import { jsonText, yamlText } from "../cli/output/serialize.ts";
import { openDatastore } from "../datastore/open-datastore.ts";
import { startExecHelper } from "../kernel/exec-helper.ts";
import { openLinuxKernel } from "../kernel/linux-kernel.ts";
import { systemClock } from "../lib/clock.ts";
import { errorMessage, InputError } from "../lib/errors.ts";
import { nodeNameOf } from "../node/node-name.ts";
import { exitCodes } from "../takeover/finding.ts";
import { type Report, reportOf, reportText } from "../takeover/report-text.ts";
import { takeoverAreas } from "./takeover-areas.ts";

const options: OptionSpecs = {
  output: { short: "o", value: "FORMAT", help: "json or yaml: all that was found, for programs" },
  help: { short: "h", help: "show this" },
};

const help = `compares this node's kernel and files, as Calico has left them, with what tortie would make of them

It reads, and writes nothing: neither to the kernel nor to the datastore nor to a file. Give it the environment that
\`tortie node\` would have. Calico may run meanwhile.

Usage:
  tortie takeover check [--output=FORMAT]

Exit code: 0 when nothing that flows now would be interrupted, 1 when something would, 2 when not all could be read.
`;

/** `tortie takeover check`. Gives the exit code. */
export async function runTakeoverCommand(argv: readonly string[], io: CommandIo): Promise<number> {
  const args = parseArguments(argv, options);
  if (args.has("help") || argv.length === 0) {
    io.stdout.write(`${help}\nOptions:\n${optionsHelp(options)}`);
    return 0;
  }
  const [verb, ...rest] = args.words;
  if (verb !== "check" || rest.length > 0) {
    throw new InputError(
      `Cannot run "takeover ${args.words.join(" ")}": it must be takeover check`,
    );
  }
  const format = args.value("output") ?? "text";
  if (!["text", "json", "yaml"].includes(format)) {
    throw new InputError(`Cannot accept --output "${format}": it must be json or yaml`);
  }
  let report: Report;
  try {
    report = await check(io.env);
  } catch (error) {
    io.stderr.write(`Cannot check this node: ${errorMessage(error)}\n`);
    return exitCodes.unreadable;
  }
  io.stdout.write(await written(report, format));
  return report.exitCode;
}

async function written(report: Report, format: string): Promise<string> {
  if (format === "json") return jsonText(report);
  return format === "yaml" ? await yamlText(report) : reportText(report);
}

async function check(env: CommandIo["env"]): Promise<Report> {
  // First of all, while this process is small (ADR 5).
  const exec = startExecHelper();
  const nodeName = nodeNameOf(env);
  const kernel = openLinuxKernel();
  try {
    const datastore = await openDatastore(env, { readOnly: true });
    try {
      const ipv6 = existsSync("/proc/sys/net/ipv6");
      const ports = { nodeName, env, datastore, kernel, exec, clock: systemClock, ipv6 };
      return reportOf(nodeName, await takeoverAreas(ports));
    } finally {
      await datastore.close();
    }
  } finally {
    kernel.close();
    exec.close();
  }
}
