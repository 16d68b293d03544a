import { existsSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { type OptionSpecs, parseArguments, verbHelp } from "../cli/arguments.ts";
import type { CommandIo } from "../cli/io.ts";
import { removeCni } from "../cni/install/install.ts";
import { installConfig } from "../cni/install/install-config.ts";
import { defaultSpoolFolder } from "../cni/protocol.ts";
import { localSources } from "../felix/config/config-file.ts";
import { readParameters } from "../felix/config/read-parameters.ts";
import { type CleanupStep, cleanupSteps } from "../felix/dataplane/cleanup.ts";
import { startExecHelper } from "../kernel/exec-helper.ts";
import { openLinuxKernel } from "../kernel/linux-kernel.ts";
import { errorMessage, InputError } from "../lib/errors.ts";
import { createLogger } from "../lib/log.ts";
import { runDirectory, runningProcess } from "../node/child-process-file.ts";
import { mtuFile } from "../node/mtu.ts";
import { nodeNameOf, nodenameFile } from "../node/node-name.ts";

const options: OptionSpecs = {
  "dry-run": { help: "say what would be removed, and remove nothing" },
  help: { short: "h", help: "show this" },
};

/**
 * `tortie node cleanup`: removes from this machine what a node of tortie or Calico has put there. Gives the exit
 * code: 1 when something is left.
 */
export async function runNodeCleanup(argv: readonly string[], io: CommandIo): Promise<number> {
  const args = parseArguments(argv, options);
  if (args.has("help")) {
    const summary =
      "removes devices, routes, rules, IP sets, CNI and state files of a node that does not run any more; its pods " +
      "lose their network";
    io.stdout.write(verbHelp(summary, "tortie node cleanup [--dry-run]", options));
    return 0;
  }
  const dryRun = args.has("dry-run");
  if (!dryRun) await refuseWhileRunning(io.env);
  const exec = startExecHelper();
  const kernel = openLinuxKernel();
  try {
    const { values } = readParameters(localSources(io.env));
    const ports = { kernel, exec, ipv6: existsSync("/proc/sys/net/ipv6") };
    const kernelSteps = await cleanupSteps(values, ports);
    const steps = [...cniSteps(io.env), ...kernelSteps, ...fileSteps(io.env)];
    if (steps.length === 0) io.stdout.write("Nothing of a node is left here\n");
    return await carryOut(steps, { dryRun, io });
  } finally {
    kernel.close();
    exec.close();
  }
}

async function refuseWhileRunning(env: CommandIo["env"]): Promise<void> {
  const runDir = runDirectory(env);
  for (const name of ["node", "felix", "bgp", "udp-tunnel"]) {
    const running = runningProcess(runDir, name, name);
    if (running === undefined) continue;
    throw new InputError(
      `Cannot clean up: \`tortie ${name}\` runs here (process ${running.pid}) and uses what is to go`,
    );
  }
  // A container's processes have other pids here, but their sockets are the same.
  for (const socket of socketsIn(runDir)) {
    if (!(await isAnswered(socket))) continue;
    throw new InputError(
      `Cannot clean up: a node runs here and answers at ${socket}, and would put it all back`,
    );
  }
}

function socketsIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isSocket()).map(({ name }) => join(folder, name));
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** First the runtime must not ask for a network any more; plugins of others stay. */
function cniSteps(env: CommandIo["env"]): CleanupStep[] {
  const config = installConfig(env, nodeNameOf(env));
  const conflist = join(config.netFolder, config.confName);
  if (!existsSync(conflist)) return [];
  return [
    {
      what: `${conflist} and the CNI plugins in ${config.binFolder}, if they are ours`,
      run: async () => removeCni(config, createLogger({ name: "cleanup", level: "warn" })),
    },
  ];
}

function fileSteps(env: CommandIo["env"]): CleanupStep[] {
  const spool = env["TORTIE_CNI_SPOOL"] ?? defaultSpoolFolder;
  const places = [nodenameFile(env), mtuFile(env), spool, runDirectory(env)];
  return places.filter(existsSync).map((path) => ({
    what: path,
    run: async () => rmSync(path, { recursive: true, force: true }),
  }));
}

/** One that fails does not keep the others. */
async function carryOut(
  steps: readonly CleanupStep[],
  { dryRun, io }: { readonly dryRun: boolean; readonly io: CommandIo },
): Promise<number> {
  let failures = 0;
  for (const { what, run } of steps) {
    if (dryRun) {
      io.stdout.write(`would remove ${what}\n`);
      continue;
    }
    try {
      await run();
      io.stdout.write(`removed ${what}\n`);
    } catch (error) {
      failures++;
      io.stderr.write(`Cannot remove ${what}: ${errorMessage(error)}\n`);
    }
  }
  return failures === 0 ? 0 : 1;
}
