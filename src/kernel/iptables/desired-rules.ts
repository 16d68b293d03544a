import type { RenderedChain, RenderedRules } from "./rendered-chain.ts";
import { type DesiredTable, isOwn, reachableChains } from "./table-plan.ts";

/**
 * What one table shall hold. Which chains are reached, and which sets they need, is found again only
 * when a chain leads no more to where it did: most changes are of rules within a chain, or a new pod's.
 */
export class DesiredRules implements DesiredTable {
  readonly chains: ReadonlyMap<string, RenderedChain>;
  readonly insertions: ReadonlyMap<string, RenderedRules>;
  readonly appends: ReadonlyMap<string, RenderedRules>;
  readonly missing: (name: string) => RenderedChain;
  readonly #chains = new Map<string, RenderedChain>();
  readonly #insertions = new Map<string, RenderedRules>();
  readonly #appends = new Map<string, RenderedRules>();
  #needed: Map<string, RenderedChain> | undefined;
  #sets: ReadonlySet<string> | undefined;
  #changed: Set<string> | undefined;

  constructor(missing: (name: string) => RenderedChain) {
    this.missing = missing;
    this.chains = this.#chains;
    this.insertions = this.#insertions;
    this.appends = this.#appends;
  }

  /** Chains that some programmed rule leads to. */
  get needed(): ReadonlyMap<string, RenderedChain> {
    this.#needed ??= reachableChains(this);
    return this.#needed;
  }

  /** Sets that programmed rules match on. */
  get neededSets(): ReadonlySet<string> {
    this.#sets ??= new Set(this.#programmed().flatMap((run) => [...run.sets]));
    return this.#sets;
  }

  /** How many chains and rules are needed. */
  get size(): { readonly chains: number; readonly rules: number } {
    const rules = this.#programmed().reduce((sum, run) => sum + run.hashes.length, 0);
    return { chains: this.needed.size, rules };
  }

  /** @returns whether it makes a difference. */
  setChain(chain: RenderedChain): boolean {
    const before = this.#chains.get(chain.name);
    this.#chains.set(chain.name, chain);
    if (sameRun(before, chain)) return false;
    if (this.#needed === undefined) this.#forget();
    // One that nothing leads to changes nothing.
    else if (this.#needed.has(chain.name)) {
      if (before?.targets.isSubsetOf(chain.targets) === false) this.#forget();
      else this.#reach(chain, this.#needed);
      if (before?.sets.isSubsetOf(chain.sets) === false) this.#sets = undefined;
    }
    return true;
  }

  /** A needed chain has other rules, and leads at least to where it did. */
  #reach(changed: RenderedChain, needed: Map<string, RenderedChain>): void {
    const pending = [changed];
    for (let chain = pending.pop(); chain !== undefined; chain = pending.pop()) {
      needed.set(chain.name, chain);
      this.#changed?.add(chain.name);
      if (this.#sets?.isSupersetOf(chain.sets) === false) this.#sets = this.#sets.union(chain.sets);
      for (const name of chain.targets) {
        if (isOwn(name) && !needed.has(name))
          pending.push(this.#chains.get(name) ?? this.missing(name));
      }
    }
  }

  /** @returns whether it makes a difference. */
  removeChain(name: string): boolean {
    if (!this.#chains.delete(name)) return false;
    this.#forget();
    return true;
  }

  /** @returns whether it makes a difference. */
  setRun(place: "insertions" | "appends", chain: string, rules: RenderedRules): boolean {
    const runs = place === "insertions" ? this.#insertions : this.#appends;
    const before = runs.get(chain);
    runs.set(chain, rules);
    if (sameRun(before, rules)) return false;
    this.#forget();
    return true;
  }

  /** Chains with other rules than at the last call. Undefined: anything may be other. */
  takeChanged(): ReadonlySet<string> | undefined {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  /** The kernel is not as it was believed to be. */
  compareAll(): void {
    this.#changed = undefined;
  }

  #programmed(): RenderedRules[] {
    return [...this.needed.values(), ...this.#insertions.values(), ...this.#appends.values()];
  }

  #forget(): void {
    this.#needed = undefined;
    this.#sets = undefined;
    this.#changed = undefined;
  }
}

function sameRun(a: RenderedRules | undefined, b: RenderedRules): boolean {
  return (
    a !== undefined &&
    a.hashes.length === b.hashes.length &&
    a.hashes.every((hash, at) => hash === b.hashes[at])
  );
}
