import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

/** Share of the processors that others may use while a row runs: one core of four. */
const idleShare = 0.75;
const sampleMs = 1000;

/** Waits until most of the machine is idle, at most `limitMs`. False: it is still busy. */
export async function waitForIdle(limitMs: number, signal: AbortSignal): Promise<boolean> {
  for (const end = performance.now() + limitMs; performance.now() < end; ) {
    const before = processorTimes();
    await sleep(sampleMs, undefined, { signal });
    const after = processorTimes();
    if ((after.idle - before.idle) / (after.all - before.all) >= idleShare) return true;
  }
  return false;
}

function processorTimes(): { readonly idle: number; readonly all: number } {
  let [idle, all] = [0, 0];
  for (const { times } of cpus()) {
    idle += times.idle;
    all += times.idle + times.user + times.nice + times.sys + times.irq;
  }
  return { idle, all };
}
