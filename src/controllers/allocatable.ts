import type { Condition } from "../api/condition.ts";
import { allocatableCondition, allocatableType, conditionsOf } from "../api/pool-condition.ts";
import type { IPPool } from "../api/resources/ip-pool.ts";
import { compareText } from "../lib/collections.ts";
import { type Prefix, parsePrefix, prefixesOverlap } from "../lib/prefix.ts";

export type Verdict = Pick<Condition, "status" | "reason" | "message">;

/**
 * Whether addresses may be taken from each pool, by its name (facts 2.3). Of pools that overlap one gives: the one
 * that already does, else the oldest. A pool that is being deleted gives nothing, and others over its addresses
 * nothing either until it is gone; a disabled one is in nobody's way.
 */
export function allocatablePools(pools: readonly IPPool[]): ReadonlyMap<string, Verdict> {
  const taken: { readonly name: string; readonly cidr: Prefix }[] = [];
  const verdicts = new Map<string, Verdict>();
  for (const pool of pools.toSorted(byClaim)) {
    const { name } = pool.metadata;
    const cidr = parsePrefix(pool.spec.cidr);
    const other = taken.find((each) => prefixesOverlap(each.cidr, cidr));
    const verdict = verdictOn(pool, other?.name);
    verdicts.set(name, verdict);
    const holds = verdict.reason === "OK" || verdict.reason === "Terminating";
    if (holds) taken.push({ name, cidr });
  }
  return verdicts;
}

function verdictOn({ metadata, spec }: IPPool, overlapping: string | undefined): Verdict {
  const refused = { status: "False" } as const;
  if (spec.disabled === true) {
    return { ...refused, reason: "PoolDisabled", message: "spec.disabled is true" };
  }
  if (metadata.deletionTimestamp !== undefined) {
    return { ...refused, reason: "Terminating", message: "the pool is being deleted" };
  }
  if (overlapping !== undefined) {
    const message = `spec.cidr overlaps that of IPPool ${overlapping}`;
    return { ...refused, reason: "CIDROverlap", message };
  }
  return { status: "True", reason: "OK", message: "addresses are given from this pool" };
}

/** Those that give addresses, those that go, those that gave none, those nobody has judged; the older first. */
function byClaim(a: IPPool, b: IPPool): number {
  const created = ({ metadata }: IPPool) => Date.parse(metadata.creationTimestamp ?? "") || 0;
  return (
    rankOf(a) - rankOf(b) ||
    created(a) - created(b) ||
    compareText(a.metadata.name, b.metadata.name)
  );
}

function rankOf(pool: IPPool): number {
  if (pool.metadata.deletionTimestamp !== undefined) return 1;
  const { status } = allocatableCondition(pool) ?? {};
  return status === "True" ? 0 : status === "False" ? 2 : 3;
}

/** The pool with the condition; undefined when it has it already. */
export function withVerdict(pool: IPPool, verdict: Verdict, now: Date): IPPool | undefined {
  const present = allocatableCondition(pool);
  const same = (["status", "reason", "message"] as const).every(
    (field) => present?.[field] === verdict[field],
  );
  if (same) return undefined;
  const changed = present?.status !== verdict.status;
  // Kubernetes' times are of whole seconds.
  const at = changed ? undefined : present?.lastTransitionTime;
  const condition: Condition = {
    type: allocatableType,
    ...verdict,
    lastTransitionTime: at ?? `${now.toISOString().slice(0, 19)}Z`,
  };
  const others = conditionsOf(pool).filter(({ type }) => type !== allocatableType);
  return { ...pool, status: { ...(pool.status as object), conditions: [...others, condition] } };
}
