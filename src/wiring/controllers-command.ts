import type { CommandIo } from "../cli/io.ts";
import { InputError } from "../lib/errors.ts";

/** `tortie controllers`: the daemon; `controllers status`: how it is. Gives the exit code. */
export async function runControllersCommand(
  argv: readonly string[],
  io: CommandIo,
): Promise<number> {
  const [verb, ...rest] = argv;
  if (verb === undefined) return (await import("./controllers.ts")).runControllersProcess(io.env);
  if (verb === "status") {
    return (await import("../cli/controllers-status.ts")).runControllersStatus(rest, io);
  }
  throw new InputError(
    `Cannot run "controllers ${verb}": it must be controllers or controllers status`,
  );
}
