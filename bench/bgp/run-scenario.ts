import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { clientAddressOf, dotted } from "./load/load-clients.ts";
import type { LoadLine, LoadTask } from "./load/main.ts";
import type { ScenarioSpec } from "./load/scenario.ts";
import type { BenchOptions } from "./options.ts";
import type { Row } from "./rows.ts";
import { makeTargetFolder, type Target } from "./targets/target.ts";
import { type Topology, targetAddress } from "./topology.ts";

const asn = 64_512;
const usualHoldSeconds = 90;
const loadProgram = fileURLToPath(new URL("load/main.ts", import.meta.url));

/** Starts the target, runs the rows of one scenario against it, and ends it. */
export async function runScenario(
  scenario: ScenarioSpec,
  rows: readonly Row[],
  context: {
    readonly target: Target;
    readonly topology: Topology;
    readonly options: Pick<BenchOptions, "tablePrefixes" | "timeoutMs">;
    readonly signal: AbortSignal;
  },
): Promise<LoadLine[]> {
  const { target, topology, options, signal } = context;
  const { tablePrefixes, timeoutMs } = options;
  const { folder, remove } = makeTargetFolder(target.name.toLowerCase());
  const holdSeconds = target.holdSeconds ?? usualHoldSeconds;
  const clientCount = scenario.kind === "reflector" ? scenario.clients : scenario.receivers + 1;
  try {
    const running = await target.start({
      netns: topology.targetNetns,
      address: targetAddress,
      asn,
      holdSeconds,
      folder,
      clients: Array.from({ length: clientCount }, (_, i) => dotted(clientAddressOf(i))),
    });
    try {
      const { probe, pid } = running;
      const task = {
        scenario,
        rows: rows.map(({ id, work }) => ({ id, work })),
        target: targetAddress,
        port: 179,
        asn,
        holdSeconds,
        tablePrefixes,
        timeoutMs,
        targetPid: pid,
        ...(probe === undefined ? {} : { probe }),
      };
      return await runLoad(topology.clientNetns, task, signal);
    } finally {
      await running.stop();
    }
  } catch (error) {
    return rows.map(({ id }) => ({ row: id, error: (error as Error).message }));
  } finally {
    topology.endTarget();
    remove();
  }
}

async function runLoad(netns: string, task: LoadTask, signal: AbortSignal): Promise<LoadLine[]> {
  const args = ["netns", "exec", netns, process.execPath, loadProgram, JSON.stringify(task)];
  const child = spawn("ip", args, { stdio: ["ignore", "pipe", "inherit"], signal });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const code = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0) throw new Error(`the load generator ended with exit ${code}`);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as LoadLine);
}
