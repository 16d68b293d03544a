import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { clientAddressOf, dotted } from "./load/load-clients.ts";
import type { LoadLine, LoadTask } from "./load/main.ts";
import { scenarioOf } from "./load/scenarios.ts";
import type { BenchOptions } from "./options.ts";
import { makeTargetFolder, type Target } from "./targets/target.ts";
import { type Topology, targetAddress } from "./topology.ts";

const asn = 64_512;
const usualHoldSeconds = 90;
const loadProgram = fileURLToPath(new URL("load/main.ts", import.meta.url));

/** Starts the target, runs the rows of one scenario against it, and ends it. */
export async function runScenario(
  scenarioName: string,
  rows: readonly string[],
  { target, topology, options }: { target: Target; topology: Topology; options: BenchOptions },
): Promise<LoadLine[]> {
  const scenario = scenarioOf(scenarioName, options.tablePrefixes);
  if (scenario === undefined) throw new Error(`Cannot run scenario "${scenarioName}"`);
  const { folder, remove } = makeTargetFolder(target.name.toLowerCase());
  const holdSeconds = target.holdSeconds ?? usualHoldSeconds;
  try {
    const running = await target.start({
      netns: topology.targetNetns,
      address: targetAddress,
      asn,
      holdSeconds,
      folder,
      clients: Array.from({ length: scenario.clients }, (_, i) => dotted(clientAddressOf(i))),
    });
    try {
      const { loopReport, pid } = running;
      return await runLoad(topology.clientNetns, {
        scenario: scenarioName,
        rows,
        target: targetAddress,
        port: 179,
        asn,
        holdSeconds,
        tablePrefixes: options.tablePrefixes,
        timeoutMs: options.timeoutMs,
        targetPid: pid,
        ...(loopReport === undefined ? {} : { loopReport }),
      });
    } finally {
      await running.stop();
    }
  } catch (error) {
    return [{ row: rows[0] ?? "", error: (error as Error).message }];
  } finally {
    remove();
  }
}

async function runLoad(netns: string, task: LoadTask): Promise<LoadLine[]> {
  const args = ["netns", "exec", netns, process.execPath, loadProgram, JSON.stringify(task)];
  const child = spawn("ip", args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0) throw new Error(`the load generator ended with exit ${code}`);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as LoadLine);
}
