import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { aborted, type Service } from "../../lib/service.ts";
import { type FelixHealth, type HealthConfig, writeHealth } from "./felix-health.ts";

const intervalMs = 2_000;

/** Writes again and again how felix is, for the node's health checks; nothing when they are off. */
export function healthService(
  config: HealthConfig,
  felix: {
    readonly file: string;
    readonly pid: number;
    readonly health: () => FelixHealth;
    readonly clock: Clock;
    readonly log: Logger;
  },
): Service {
  if (!config.enabled) return aborted;
  return async (signal) => {
    const { file, pid, health, clock, log } = felix;
    let failed = false;
    while (!signal.aborted) {
      try {
        writeHealth(file, { pid, health: health(), config }, clock.date().getTime());
        failed = false;
      } catch (err) {
        if (!failed) log.warn({ err }, "health not written");
        failed = true;
      }
      await clock.sleep(intervalMs, signal).catch(() => undefined);
    }
  };
}
