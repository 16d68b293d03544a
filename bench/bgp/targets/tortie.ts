import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startCommand, type Target, type TargetPlan } from "./target.ts";

/** What bin/tortie gives its Node. */
const nodeOptions = ["--max-semi-space-size=4"];
const environment = {
  NODE_COMPILE_CACHE: fileURLToPath(new URL("../../../build/compile-cache", import.meta.url)),
  MALLOC_MMAP_THRESHOLD_: "131072",
};

/** As `bin/tortie bgp --config`, but with arguments for Node: a profile needs them. */
export function tortie(nodeArgs: readonly string[]): Target {
  return {
    name: "tortie",
    missing: () => undefined,
    version: () => `node ${process.version}`,
    holdSeconds: 9,
    start: async (plan) => {
      const loopReport = join(plan.folder, "loop.json");
      const program = fileURLToPath(new URL("tortie-runner.ts", import.meta.url));
      const running = await startCommand(plan, {
        files: { "speaker.json": JSON.stringify(config(plan)) },
        command: [
          process.execPath,
          ...nodeOptions,
          ...nodeArgs,
          program,
          join(plan.folder, "speaker.json"),
        ],
        env: { ...environment, TORTIE_LOOP_REPORT: loopReport },
      });
      return { ...running, loopReport };
    },
  };
}

function config({ address, asn, holdSeconds, clients }: TargetPlan) {
  return { address, asn, holdSeconds, clients };
}
