import { additionLines, indexesOfAdded } from "./chain-growth.ts";
import type { TableName } from "./model.ts";
import type { SavedRule, SavedTable } from "./parse-save.ts";
import { noRules, type RenderedChain, type RenderedRules } from "./rendered-chain.ts";

/**
 * What to do so that one table becomes as desired (facts 4.17, points 1 to 4).
 *
 * A fresh process knows what is ours by the chain's prefix and by the hash comment of a rule in a
 * chain that is not ours. Foreign rules are never touched, nor is a chain whose hashes are right.
 */

export interface DesiredTable {
  readonly chains: ReadonlyMap<string, RenderedChain>;
  /** Rules at the head of kernel chains (or behind foreign rules in append mode). */
  readonly insertions: ReadonlyMap<string, RenderedRules>;
  /** Rules behind all others. */
  readonly appends: ReadonlyMap<string, RenderedRules>;
  /** What stands in for a chain of ours that a rule leads to and that is not in `chains`. */
  readonly missing: (name: string) => RenderedChain;
  /** The chains that are reached, where that is known. */
  readonly needed?: ReadonlyMap<string, RenderedChain>;
}

export type InsertMode = "insert" | "append";

/** Restore lines. Both empty: the kernel is as desired. */
export interface TablePlan {
  readonly table: TableName;
  readonly write: readonly string[];
  /** Deletion of chains that `write` emptied. */
  readonly remove: readonly string[];
}

/** Chains with these prefixes are ours; "felix-" is Calico's of long ago. */
const ownPrefixes = ["cali", "felix-"];

/** In what a table differs from what is desired. */
export interface TableDifference {
  readonly table: TableName;
  /** Chains to write. */
  readonly changed: readonly RenderedChain[];
  /** Of those the ones that keep all rules that they have: which others come between and behind, by index. */
  readonly added: ReadonlyMap<string, readonly number[]>;
  /** Chains to empty: nobody leads to them any more. */
  readonly flushed: readonly string[];
  /** Chains to delete. */
  readonly removed: ReadonlySet<string>;
  /** Restore lines for chains that are not ours. */
  readonly kernelLines: readonly string[];
}

export function planTable(table: TableName, input: PlanInput): TablePlan {
  return planOf(differenceOf(table, input));
}

export function differenceOf(table: TableName, input: PlanInput): TableDifference {
  const { desired, actual } = input;
  const needed = desired.needed ?? reachableChains(desired);
  const dying = [...actual.chains.keys()].filter((name) => isOwn(name) && !needed.has(name));
  const changed = [...needed.values()].filter(
    (chain) => !sameRules(actual.chains.get(chain.name), chain.hashes),
  );
  const removed = removableChains(dying, actual);
  // Flushing all dying chains takes the references between them away; one that stays because
  // somebody else jumps to it is flushed once.
  const flushed = dying.filter(
    (name) => removed.has(name) || (actual.chains.get(name)?.length ?? 0) > 0,
  );
  const added = additionsTo(changed, input);
  return { table, changed, added, flushed, removed, kernelLines: planKernelChains(input) };
}

/** The same where `actual` was as desired before the rules of these chains changed, and nothing else. */
export function differenceIn(
  chains: Iterable<string>,
  input: PlanInput & { readonly table: TableName },
): TableDifference {
  const { table, desired, actual } = input;
  const changed = [...chains].flatMap((name) => {
    const chain = desired.needed?.get(name);
    const differs = chain && !sameRules(actual.chains.get(name), chain.hashes);
    return differs === true ? [chain] : [];
  });
  const added = additionsTo(changed, input);
  return { table, changed, added, flushed: [], removed: new Set(), kernelLines: [] };
}

/**
 * A chain that only grows is not emptied: with nft a restore that deletes even one rule takes 20 ms, since
 * the kernel lets its process end only when no packet sees that rule any more, and one that adds takes 3 ms.
 */
export function planOf(difference: TableDifference): TablePlan {
  const { table, changed, added, flushed, removed, kernelLines } = difference;
  const rewritten = changed.map(({ name }) => name).filter((name) => !added.has(name));
  const write = [...flushed, ...rewritten].map((name) => `:${name} - [0:0]`);
  for (const { name, bodies } of changed) {
    const positions = added.get(name);
    if (positions === undefined) for (const body of bodies) write.push(`-A ${name} ${body}`);
    else write.push(...additionLines({ name, bodies }, positions));
  }
  write.push(...kernelLines);
  return { table, write, remove: [...removed].map((name) => `-X ${name}`) };
}

export interface PlanInput {
  readonly desired: DesiredTable;
  readonly actual: SavedTable;
  readonly insertMode: InsertMode;
  /** Whether rules may be put between others. */
  readonly inPlace: boolean;
}

/** Chains that some programmed rule leads to, by name. An unused policy never reaches the kernel. */
export function reachableChains(desired: DesiredTable): Map<string, RenderedChain> {
  const reached = new Map<string, RenderedChain>();
  const pending: string[] = [];
  for (const rules of [...desired.insertions.values(), ...desired.appends.values()]) {
    pending.push(...rules.targets);
  }
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (reached.has(name) || !isOwn(name)) continue;
    const chain = desired.chains.get(name) ?? desired.missing(name);
    reached.set(name, chain);
    pending.push(...chain.targets);
  }
  return reached;
}

/** True for a name that only tortie or Calico gives to a chain. */
export function isOwn(chain: string): boolean {
  return ownPrefixes.some((prefix) => chain.startsWith(prefix));
}

/**
 * The plan as the input of iptables-restore, one string a transaction: each is a program to run.
 * `apart`: chains go in one of their own, so that one that somebody else holds does not stop the rest.
 */
export function restoreTexts({ table, write, remove }: TablePlan, apart: boolean): string[] {
  return (apart ? [write, remove] : [[...write, ...remove]])
    .filter((lines) => lines.length > 0)
    .map((lines) => `*${table}\n${lines.join("\n")}\nCOMMIT\n`);
}

export function isEmptyPlan(plan: TablePlan): boolean {
  return plan.write.length === 0 && plan.remove.length === 0;
}

function sameRules(actual: readonly SavedRule[] | undefined, hashes: readonly string[]): boolean {
  return (
    actual !== undefined &&
    actual.length === hashes.length &&
    actual.every((rule, i) => rule.hash === hashes[i])
  );
}

function additionsTo(
  changed: readonly RenderedChain[],
  { actual, inPlace }: PlanInput,
): Map<string, readonly number[]> {
  const added = new Map<string, readonly number[]>();
  for (const { name, hashes } of inPlace ? changed : []) {
    const present = actual.chains.get(name);
    const indexes = present && indexesOfAdded(present, hashes);
    if (indexes !== undefined) added.set(name, indexes);
  }
  return added;
}

/** Dying chains that no rule which stays refers to: the kernel would refuse to delete the others. */
function removableChains(dying: readonly string[], actual: SavedTable): Set<string> {
  const removable = new Set(dying);
  for (const [name, rules] of actual.chains) {
    if (isOwn(name)) continue;
    for (const rule of rules) {
      if (!isOurs(rule) && rule.target !== undefined) removable.delete(rule.target);
    }
  }
  return removable;
}

/** In a foreign chain: a rule that we, or a Calico before us, put there. */
function isOurs(rule: SavedRule): boolean {
  return rule.hash !== undefined;
}

function planKernelChains({ desired, actual, insertMode }: PlanInput): string[] {
  const names = new Set([...desired.insertions.keys(), ...desired.appends.keys()]);
  for (const [name, rules] of actual.chains) {
    if (!isOwn(name) && rules.some(isOurs)) names.add(name);
  }
  return [...names].flatMap((name) => {
    const rules = actual.chains.get(name) ?? [];
    const inserts = desired.insertions.get(name) ?? noRules;
    const appends = desired.appends.get(name) ?? noRules;
    return planKernelChain({ name, rules, inserts, appends, insertMode });
  });
}

/** Deletes by value all that is ours, then puts all of it back: positions of others may move. */
function planKernelChain({ name, rules, inserts, appends, insertMode }: KernelChain): string[] {
  const head = insertMode === "insert" ? inserts : noRules;
  const tail = insertMode === "insert" ? appends : joined(inserts, appends);
  const foreign = rules.filter((rule) => !isOurs(rule));
  const wanted = [...head.hashes, ...foreign.map(() => undefined), ...tail.hashes];
  if (rules.length === wanted.length && rules.every((rule, i) => rule.hash === wanted[i])) {
    return [];
  }
  return [
    ...rules.filter(isOurs).map((rule) => `-D ${name} ${rule.body}`),
    ...head.bodies.toReversed().map((body) => `-I ${name} ${body}`),
    ...tail.bodies.map((body) => `-A ${name} ${body}`),
  ];
}

interface KernelChain {
  readonly name: string;
  readonly rules: readonly SavedRule[];
  readonly inserts: RenderedRules;
  readonly appends: RenderedRules;
  readonly insertMode: InsertMode;
}

function joined(
  first: RenderedRules,
  second: RenderedRules,
): Pick<RenderedRules, "hashes" | "bodies"> {
  return {
    hashes: [...first.hashes, ...second.hashes],
    bodies: [...first.bodies, ...second.bodies],
  };
}
