import type { Condition } from "./condition.ts";
import type { IPPool } from "./resources/ip-pool.ts";

/** Type of the condition that tells whether addresses may be taken from a pool (facts 2.3). */
export const allocatableType = "Allocatable";

export function conditionsOf(pool: IPPool): readonly Partial<Condition>[] {
  const status = pool.status as { readonly conditions?: readonly Partial<Condition>[] } | undefined;
  return status?.conditions ?? [];
}

/** Undefined for a pool that nobody has judged. */
export function allocatableCondition(pool: IPPool): Partial<Condition> | undefined {
  return conditionsOf(pool).find(({ type }) => type === allocatableType);
}

/** Why the cluster lets nobody take addresses from a pool: "CIDROverlap: ..."; undefined when it does. */
export function notAllocatable(pool: IPPool): string | undefined {
  const { status, reason, message } = allocatableCondition(pool) ?? {};
  if (status !== "False") return undefined;
  return [reason, message].filter((part) => part !== undefined && part !== "").join(": ");
}
