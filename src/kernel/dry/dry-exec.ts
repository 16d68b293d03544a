import type { ExecHelper } from "../exec-helper.ts";

/** Programs that only tell are run; of what would write it is said that it went well. */
export function dryExec(exec: ExecHelper): ExecHelper {
  return {
    run: async (program, args, options) => {
      const reads = program.endsWith("-save") || args.includes("--version");
      if (reads) return await exec.run(program, args, options);
      return { code: 0, stdout: "", stderr: "" };
    },
    close: () => exec.close(),
  };
}
