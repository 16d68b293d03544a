import { readFileSync, renameSync, writeFileSync } from "node:fs";

/** Parts of felix that report, by Calico's names (facts 4.12). */
export type HealthPart = "CalculationGraph" | "InternalDataplaneMainLoop";

export interface HealthConfig {
  readonly enabled: boolean;
  /** How long a part may be busy with one thing, in milliseconds; 0: for ever. */
  readonly timeoutsMs: Readonly<Record<HealthPart, number>>;
}

export interface PartHealth {
  /** Did its work once. */
  readonly ready: boolean;
  /** Since when it is busy with the same thing, milliseconds; 0: it waits for work. */
  readonly busyMs: number;
}

export type FelixHealth = Readonly<Record<HealthPart, PartHealth>>;

/** What one process of felix wrote last. */
interface HealthFile {
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly parts: Readonly<Record<string, PartHealth & { readonly timeoutMs: number }>>;
}

export function writeHealth(
  file: string,
  felix: { readonly pid: number; readonly health: FelixHealth; readonly config: HealthConfig },
  at: number,
): void {
  const parts = Object.entries(felix.health).map(([name, health]) => [
    name,
    { ...health, timeoutMs: felix.config.timeoutsMs[name as HealthPart] },
  ]);
  const content: HealthFile = { pid: felix.pid, at, parts: Object.fromEntries(parts) };
  writeFileSync(`${file}.new`, JSON.stringify(content), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/**
 * How the parts of the felix with this pid are. A part is dead when it has been busy for longer than
 * it may, or when felix has not written for that long. Not ready, when that felix has written nothing yet.
 */
export function readHealth(
  file: string,
  pid: number,
  now: number,
): Record<string, { readonly live: boolean; readonly ready: boolean; readonly reason: string }> {
  const content = readFile(file);
  if (content?.pid !== pid) {
    return { report: { live: true, ready: false, reason: "felix has not reported yet" } };
  }
  const reports = Object.entries(content.parts).map(([name, { ready, busyMs, timeoutMs }]) => {
    const silentMs = Math.max(0, now - content.at) + busyMs;
    const live = timeoutMs === 0 || silentMs <= timeoutMs;
    const reason = live
      ? ready
        ? ""
        : "not finished for the first time"
      : `no report for ${Math.round(silentMs / 1000)} s, ${timeoutMs / 1000} s are allowed`;
    return [name, { live, ready: live && ready, reason }] as const;
  });
  return Object.fromEntries(reports);
}

function readFile(file: string): HealthFile | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as HealthFile;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
