import type { CommandIo } from "../cli/io.ts";
import { InputError } from "../lib/errors.ts";

const usage = `Usage: tortie node [status|health|shutdown|cleanup|drain|check-paths] [OPTION]...

Without a verb: the daemon, what the calico-node container runs. It is configured by its environment.
`;

/** `tortie node`: the daemon; with a verb, a question to it. Gives the exit code. */
export async function runNodeCommand(argv: readonly string[], io: CommandIo): Promise<number> {
  const [verb, ...rest] = argv;
  switch (verb) {
    case undefined:
      return (await import("./node.ts")).runNodeProcess(io.env);
    case "--help":
    case "-h":
      io.stdout.write(usage);
      return 0;
    case "status":
      return (await import("../cli/node-status.ts")).runNodeStatus(rest, io);
    case "health":
      return (await import("../cli/node-health.ts")).runNodeHealth(rest, io);
    case "shutdown":
      return (await import("./network-condition.ts")).runNodeShutdown(io.env);
    case "cleanup":
      return (await import("./node-cleanup.ts")).runNodeCleanup(rest, io);
    case "drain": {
      const { runVerb } = await import("../cli/resource-command.ts");
      const { nodeDrainVerb } = await import("../cli/node-drain.ts");
      return runVerb({ name: "node drain", verb: nodeDrainVerb }, rest, io);
    }
    case "check-paths": {
      const { runVerb } = await import("../cli/resource-command.ts");
      const { checkPathsVerb } = await import("../cli/check-paths.ts");
      return runVerb({ name: "node check-paths", verb: checkPathsVerb }, rest, io);
    }
    default:
      throw new InputError(
        `Cannot run "node ${verb}": it must be node, or node status, health, shutdown, drain, check-paths or cleanup`,
      );
  }
}
