import type { IpFamily } from "../lib/ip-addr.ts";
import { IpamError } from "./ipam-error.ts";
import { choosePools, type Pool, refusal } from "./pools.ts";
import type { PoolUtilization } from "./utilization.ts";

/** A pod that may come to a node. */
export interface ShortageRequest {
  readonly node: string;
  readonly family: IpFamily;
  /** Names or CIDRs; none: any pool. */
  readonly requested: readonly string[];
}

/**
 * Why the pod would get no address; undefined when it may get one. Pools that only some namespaces may use
 * count: which one it would be is not known. Pure.
 */
export function shortageOf(
  request: ShortageRequest & { readonly nodeLabels: Readonly<Record<string, string>> },
  pools: readonly Pool[],
  utilization: readonly PoolUtilization[],
): string | undefined {
  const { family } = request;
  const isOpen = (pool: Pool) =>
    pool.family === family &&
    pool.resource.spec.namespaceSelector !== undefined &&
    refusal(pool, "Workload") === undefined;
  if (request.requested.length === 0 && pools.some(isOpen)) return undefined;
  try {
    const chosen = choosePools(pools, family, { ...request, use: "Workload" });
    const names = new Set(chosen.map(({ name }) => name));
    const used = utilization.filter(({ pool = "" }) => names.has(pool));
    if (used.some(({ available }) => available > 0n)) return undefined;
    const full = used.map(({ pool, inUse, capacity }) => `${pool}: ${inUse} of ${capacity} in use`);
    return `No IPv${family} address is free (${full.join("; ")})`;
  } catch (error) {
    if (error instanceof IpamError) return error.message;
    throw error;
  }
}
