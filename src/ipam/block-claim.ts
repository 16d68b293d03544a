import { compareText, groupBy } from "../lib/collections.ts";
import { type IpFamily, ipFamily } from "../lib/ip-addr.ts";
import { type HeldAddress, hasOwner, isOwner, isPending, type PodName } from "./block-owners.ts";

/** The next step of a pod that wants one address of each family of a handle that others ask for too. */
export type ClaimStep =
  | { readonly kind: "release"; readonly addresses: readonly HeldAddress[] }
  /** Others have assigned, and not said yet which of theirs stays. */
  | { readonly kind: "wait" }
  | { readonly kind: "assign"; readonly families: readonly IpFamily[] }
  /** The pod's own, alone in their families. */
  | { readonly kind: "settle"; readonly addresses: readonly HeldAddress[] }
  /** One settled address of each family: they are the handle's. */
  | { readonly kind: "take"; readonly addresses: readonly HeldAddress[] };

export interface Claimant {
  readonly pod: PodName;
  readonly families: readonly IpFamily[];
  /** It has waited for others long enough. */
  readonly isImpatient: boolean;
}

/**
 * What a pod does about the addresses that it sees under its handle. After each step but the last it looks
 * again.
 *
 * An address is pending when it was assigned, and settled by its assigner's second write: only when the
 * look after the first showed no other of the family. Of several that assign at once, at least one sees the
 * others' then, so at most one is settled. Nobody is told of a pending address, so anybody may release it:
 * its assigner would find it gone, by its sequence number. A settled one is released with the handle alone.
 */
export function claimStep(held: readonly HeldAddress[], claimant: Claimant): ClaimStep {
  const { pod, families, isImpatient } = claimant;
  const byFamily = groupBy(held, ({ address }) => ipFamily(address));
  const surplus: HeldAddress[] = [];
  const settled: HeldAddress[] = [];
  const ready: HeldAddress[] = [];
  const missing: IpFamily[] = [];
  let mustWait = false;
  for (const family of families) {
    const all = (byFamily.get(family) ?? []).toSorted((a, b) => compareText(a.address, b.address));
    const pending = all.filter(isPending);
    const final = all.filter((each) => !pending.includes(each));
    const isMine = ({ owner }: HeldAddress) => isOwner(owner, pod);
    const mine = pending.filter(isMine);
    const others = pending.filter((each) => hasOwner(each) && !isMine(each) && !isImpatient);
    const kept = final.find(hasOwner) ?? final[0];
    if (kept !== undefined) settled.push(kept);
    const stays = kept ?? (others.length === 0 ? mine[0] : undefined);
    const isSurplus = (each: HeldAddress) =>
      each !== stays && !others.includes(each) && (pending.includes(each) || !hasOwner(each));
    surplus.push(...all.filter(isSurplus));
    if (kept !== undefined) continue;
    if (others.length > 0) mustWait = true;
    else if (stays !== undefined) ready.push(stays);
    else missing.push(family);
  }
  if (surplus.length > 0) return { kind: "release", addresses: surplus };
  if (mustWait) return { kind: "wait" };
  if (missing.length > 0) return { kind: "assign", families: missing };
  if (ready.length > 0) return { kind: "settle", addresses: ready };
  return { kind: "take", addresses: settled };
}
