import { compareText, groupBy } from "../lib/collections.ts";
import { type IpFamily, ipFamily } from "../lib/ip-addr.ts";
import { type HeldAddress, hasOwner, isOwner, type PodName } from "./block-owners.ts";

/** The next step of a pod that wants one address of each family of a handle that others ask for too. */
export type ClaimStep =
  | { readonly kind: "release"; readonly addresses: readonly HeldAddress[] }
  /** Others are about to release all but one of theirs. */
  | { readonly kind: "wait" }
  | { readonly kind: "assign"; readonly families: readonly IpFamily[] }
  /** One of each family, and no more: they are the handle's. */
  | { readonly kind: "take"; readonly addresses: readonly HeldAddress[] };

/**
 * What a pod does about the addresses that it sees under its handle. After each step but the last it looks
 * again.
 *
 * Of several that assigned at once, at least one sees the others' when it looks after its own write. It
 * releases its own, by sequence number, and uses another's. A taken address has another sequence number:
 * of "release mine" and "take theirs" on one address only the first takes place. So a family never has two
 * addresses that somebody took.
 *
 * What a crash left is released by the same pod when it asks again, or by anybody once its pod is deleted.
 */
export function claimStep(
  held: readonly HeldAddress[],
  families: readonly IpFamily[],
  pod: PodName,
): ClaimStep {
  const byFamily = groupBy(held, ({ address }) => ipFamily(address));
  const surplus: HeldAddress[] = [];
  const taken: HeldAddress[] = [];
  let mustWait = false;
  for (const family of families) {
    const all = (byFamily.get(family) ?? []).toSorted((a, b) => compareText(a.address, b.address));
    const mine = all.filter(({ owner }) => isOwner(owner, pod));
    const others = all.filter((each) => hasOwner(each) && !mine.includes(each));
    const kept = others[0] ?? mine[0] ?? all[0];
    if (kept === undefined) continue;
    taken.push(kept);
    if (others.length > 1 && mine.length === 0) mustWait = true;
    else surplus.push(...all.filter((each) => each !== kept && !others.includes(each)));
  }
  if (surplus.length > 0) return { kind: "release", addresses: surplus };
  if (mustWait) return { kind: "wait" };
  const missing = families.filter((family) => !byFamily.has(family));
  if (missing.length > 0) return { kind: "assign", families: missing };
  return { kind: "take", addresses: taken };
}
