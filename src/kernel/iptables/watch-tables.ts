import { type Clock, type Millis, systemClock } from "../../lib/clock.ts";
import { aborted } from "../../lib/service.ts";
import { monitorNftables } from "../nft-monitor.ts";
import type { NftTable } from "../nft-monitor-message.ts";
import type { IptablesBackend } from "./backend.ts";
import type { IptablesTable } from "./tables.ts";

export interface WatchTablesOptions {
  readonly backend: IptablesBackend;
  /** A table is not as desired: it is dirty now, and wants an `apply`. */
  readonly onStale: (table: IptablesTable) => void;
  /** A table could not be read, or the kernel's events not be heard: polling goes on. */
  readonly onError: (error: unknown) => void;
  /** How often tables are looked at, whatever the kernel says. Default: `defaultPolls`. */
  readonly poll?: TablePoll;
  readonly clock?: Clock;
}

export interface TablePoll {
  /** From a write of ours to the next look; Infinity: no look at all. */
  readonly firstMs: number;
  /** Each look that finds nothing doubles the time to the next one, up to this (facts 4.17). */
  readonly lastMs: number;
}

/** IptablesRefreshInterval; IptablesPostWriteCheckInterval (facts appendix A, 4.17). */
const defaultPolls: Readonly<Record<IptablesBackend["kind"], TablePoll>> = {
  nft: { firstMs: 180_000, lastMs: 180_000 },
  legacy: { firstMs: 5_000, lastMs: 3_600_000 },
};
/** Where the kernel's events cannot be heard. A look costs a few milliseconds a table. */
const deafPoll: TablePoll = { firstMs: 5_000, lastMs: 5_000 };

/**
 * Notices when somebody changes our part of the tables: with the nft variant by the kernel's events
 * in a fraction of a second, with legacy by polling: soon after we wrote, then ever later. Writes nothing. Ends when `signal` aborts.
 */
export async function watchTables(
  tables: readonly IptablesTable[],
  options: WatchTablesOptions,
  signal: AbortSignal,
): Promise<void> {
  const isNft = options.backend.kind === "nft";
  const pace = options.poll ?? defaultPolls[options.backend.kind];
  const polling = poll(tables, { options, pace }, signal);
  await Promise.all(isNft ? [polling, listen(tables, options, signal)] : [polling]);
}

async function poll(
  tables: readonly IptablesTable[],
  { options, pace }: { readonly options: WatchTablesOptions; readonly pace: TablePoll },
  signal: AbortSignal,
): Promise<void> {
  if (pace.firstMs === Number.POSITIVE_INFINITY) return aborted(signal);
  const { clock = systemClock } = options;
  const times = new LookTimes(pace);
  try {
    while (!signal.aborted) {
      await clock.sleep(pace.firstMs, signal);
      const now = clock.now();
      await checkTables(
        tables.filter((table) => times.isDue(table, now)),
        options,
      );
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

interface LookTime {
  readonly writes: number;
  readonly nextMs: number;
  /** From this look to the next. */
  readonly intervalMs: number;
}

/** When each table is to be looked at. */
class LookTimes {
  readonly #pace: TablePoll;
  readonly #times = new Map<IptablesTable, LookTime>();

  constructor(pace: TablePoll) {
    this.#pace = pace;
  }

  /** One that was written to since it was asked last is due; true counts as a look. */
  isDue(table: IptablesTable, now: Millis): boolean {
    const { writes } = table;
    const known = this.#times.get(table);
    const { firstMs, lastMs } = this.#pace;
    const isQuiet = known?.writes === writes;
    if (isQuiet && now < known.nextMs) return false;
    const intervalMs = isQuiet ? Math.min(known.intervalMs * 2, lastMs) : firstMs;
    this.#times.set(table, { writes, nextMs: now + intervalMs, intervalMs });
    return true;
  }
}

async function listen(
  tables: readonly IptablesTable[],
  options: WatchTablesOptions,
  signal: AbortSignal,
): Promise<void> {
  const { clock = systemClock } = options;
  const onChange = (changed: readonly NftTable[] | "lost"): void => {
    const some = changed === "lost" ? tables : tables.filter((table) => isAmong(changed, table));
    void checkTables(some, options);
  };
  try {
    await monitorNftables({ onChange, clock }, signal);
  } catch (error) {
    options.onError(error);
    await poll(tables, { options, pace: deafPoll }, signal);
  }
}

/** A table that is dirty already gets its `apply` anyway. */
async function checkTables(
  tables: readonly IptablesTable[],
  { onStale, onError }: WatchTablesOptions,
): Promise<void> {
  for (const table of tables) {
    try {
      if (!table.dirty && !(await table.check())) onStale(table);
    } catch (error) {
      onError(error);
    }
  }
}

function isAmong(changed: readonly NftTable[], table: IptablesTable): boolean {
  return changed.some((one) => one.family === table.family && one.table === table.table);
}
