import type { Clock } from "../lib/clock.ts";
import { CniError, cniCodes } from "./cni-error.ts";

const everyMs = 5_000;
const attempts = 6;

/**
 * Waits until somebody answers at each URL (`readiness_gates`, facts 6.8 point 5).
 *
 * @throws {CniError} that names the first that does not within 30 s.
 */
export async function waitForGates(
  urls: readonly string[],
  { clock, answers }: { readonly clock: Clock; answers(url: string): Promise<boolean> },
): Promise<void> {
  for (const url of urls) {
    for (let attempt = 1; !(await answers(url)); attempt++) {
      if (attempt > attempts) {
        throw new CniError(cniCodes.tryAgain, "Cannot add a pod: a readiness gate is closed", url);
      }
      await clock.sleep(everyMs, AbortSignal.any([]));
    }
  }
}
