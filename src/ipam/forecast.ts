import { groupBy } from "../lib/collections.ts";
import type { Prefix } from "../lib/prefix.ts";
import type { Allocation } from "./audit.ts";
import type { StoredBlock } from "./ipam-records.ts";
import type { PoolUtilization } from "./utilization.ts";

/** When a pool is full, or why nobody can say. */
export type Fullness =
  | { readonly kind: "full" }
  /** Unix time in ms: not sooner than that, unless more are assigned than lately. */
  | { readonly kind: "not-before"; readonly atMs: number }
  | { readonly kind: "not-growing" }
  | { readonly kind: "unknown"; readonly why: string };

export interface PoolForecast {
  readonly pool: string;
  readonly cidr: Prefix;
  readonly available: bigint;
  /** In use now. */
  readonly inUse: number;
  /** Of those, assigned within `spanMs`. */
  readonly assigned: number;
  /** Of those in use, the ones of which nobody knows when they were assigned. */
  readonly withoutTime: number;
  /** Time that `assigned` is counted over: the window, or the age of the pool's first address. */
  readonly spanMs: number;
  readonly fullness: Fullness;
}

export interface ForecastInput {
  readonly pools: readonly PoolUtilization[];
  readonly blocks: readonly StoredBlock[];
  readonly allocations: readonly Allocation[];
}

/** Fewer than this share of the window tell no rate. */
const shortestShare = 0.1;
/** What lies further away is of no use to anybody. */
const furthestMs = 100 * 365 * 86_400_000;

/**
 * When each pool is full at the present rate: that of the addresses which were assigned within the
 * window and are still in use, as if none were released from now on. IPAM does not record releases, so
 * pods that come in the place of others count too: this is the soonest time, not the likely one. Pure.
 *
 * When an address was assigned is its attribute `timestamp`, which CNI plugins write; of one without,
 * it is known to be within the window when its block was claimed within it.
 */
export function forecast(
  { pools, blocks, allocations }: ForecastInput,
  { nowMs, windowMs }: { readonly nowMs: number; readonly windowMs: number },
): PoolForecast[] {
  const claims = new Map(
    blocks.map(({ cidr, spec }) => [cidr, timeOf(spec.affinityClaimTime) ?? -Infinity]),
  );
  const live = allocations.filter(({ coolingSince }) => coolingSince === undefined);
  const byPool = groupBy(live, ({ pool }) => pool);
  return pools.flatMap(({ pool, cidr, available }): PoolForecast[] => {
    if (pool === undefined || cidr === undefined) return [];
    const ofPool = byPool.get(pool) ?? [];
    const times = ofPool.flatMap(({ attributes }) => timeOf(attributes["timestamp"]) ?? []);
    const firstMs = times.reduce((first, time) => Math.min(first, time), nowMs);
    const spanMs = Math.min(windowMs, nowMs - firstMs);
    const isLate = ({ attributes, block }: Allocation) =>
      (timeOf(attributes["timestamp"]) ?? claims.get(block) ?? -Infinity) >= nowMs - windowMs;
    const counts = {
      available,
      inUse: ofPool.length,
      assigned: ofPool.filter(isLate).length,
      withoutTime: ofPool.length - times.length,
      spanMs,
    };
    return [{ pool, cidr, ...counts, fullness: fullnessOf(counts, { nowMs, windowMs }) }];
  });
}

function fullnessOf(
  counts: Pick<PoolForecast, "available" | "inUse" | "assigned" | "withoutTime" | "spanMs">,
  { nowMs, windowMs }: { readonly nowMs: number; readonly windowMs: number },
): Fullness {
  const { available, inUse, assigned, withoutTime, spanMs } = counts;
  if (available <= 0n) return { kind: "full" };
  if (inUse === 0) return { kind: "not-growing" };
  if (withoutTime * 2 > inUse) {
    const why = `of ${withoutTime} of ${inUse} addresses nobody knows when they were assigned`;
    return { kind: "unknown", why };
  }
  if (spanMs < windowMs * shortestShare) {
    return { kind: "unknown", why: "its first address is too young" };
  }
  if (assigned === 0) return { kind: "not-growing" };
  const leftMs = (Number(available) / assigned) * spanMs;
  if (leftMs > furthestMs) return { kind: "not-growing" };
  return { kind: "not-before", atMs: nowMs + leftMs };
}

/**
 * Unix time in ms of a time as we write it (RFC 3339) or as Go prints it ("2026-08-22 10:00:03.1 +0000
 * UTC"); undefined for anything else.
 */
function timeOf(text: string | undefined): number | undefined {
  const [, day, time, fraction = "", zone = ""] =
    /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)? ?(Z|[+-]\d\d:?\d\d)/.exec(text ?? "") ?? [];
  const offset = zone.replace(/^([+-]\d\d)(\d\d)$/, "$1:$2");
  const ms = Date.parse(`${day}T${time}${fraction.slice(0, 4)}${offset}`);
  return Number.isNaN(ms) ? undefined : ms;
}
