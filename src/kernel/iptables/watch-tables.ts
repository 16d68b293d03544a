import { type Clock, systemClock } from "../../lib/clock.ts";
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
  /**
   * Between two looks at every table, whatever the kernel says; Infinity: none. Default: nft 180 s,
   * legacy 5 s.
   */
  readonly pollMs?: number;
  readonly clock?: Clock;
}

/** Where the kernel says nothing of changes. A look costs a few milliseconds a table. */
const legacyPollMs = 5_000;
/** IptablesRefreshInterval (facts appendix A). */
const nftPollMs = 180_000;

/**
 * Notices when somebody changes our part of the tables: with the nft variant by the kernel's events
 * in a fraction of a second, with legacy by polling. Writes nothing. Ends when `signal` aborts.
 */
export async function watchTables(
  tables: readonly IptablesTable[],
  options: WatchTablesOptions,
  signal: AbortSignal,
): Promise<void> {
  const isNft = options.backend.kind === "nft";
  const pollMs = options.pollMs ?? (isNft ? nftPollMs : legacyPollMs);
  const polling = poll(tables, { options, pollMs }, signal);
  await Promise.all(isNft ? [polling, listen(tables, options, signal)] : [polling]);
}

async function poll(
  tables: readonly IptablesTable[],
  pace: { readonly options: WatchTablesOptions; readonly pollMs: number },
  signal: AbortSignal,
): Promise<void> {
  if (pace.pollMs === Number.POSITIVE_INFINITY) return aborted(signal);
  const { clock = systemClock } = pace.options;
  try {
    while (!signal.aborted) {
      await clock.sleep(pace.pollMs, signal);
      await checkTables(tables, pace.options);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
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
    await poll(tables, { options, pollMs: legacyPollMs }, signal);
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
