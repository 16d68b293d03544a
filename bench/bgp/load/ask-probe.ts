import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { ProbeAnswer, ProbeAsk } from "../probe/probe.ts";

const answerLimitMs = 10_000;

/** Asks the probe in the target. Gives what it saw since it was asked last. */
export async function askProbe(
  { file, pid }: { readonly file: string; readonly pid: number },
  ask: ProbeAsk,
): Promise<ProbeAnswer> {
  rmSync(file, { force: true });
  writeFileSync(`${file}.ask`, JSON.stringify(ask));
  process.kill(pid, "SIGUSR2");
  for (const end = performance.now() + answerLimitMs; performance.now() < end; ) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (!existsSync(file)) continue;
    return JSON.parse(readFileSync(file, "utf8")) as ProbeAnswer;
  }
  throw new Error(`the target did not answer its probe in ${answerLimitMs / 1000} s`);
}
