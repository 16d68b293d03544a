import type { SavedRule, SavedTable } from "./parse-save.ts";
import type { TableMemory } from "./table-memory.ts";
import { isOwn, type TableDifference } from "./table-plan.ts";

/** A table as it was read and then written, for as long as nobody else writes. */
export class RememberedTable {
  readonly #memory: TableMemory;
  #chains: Map<string, readonly SavedRule[]> | undefined;
  #epoch: number | undefined;

  constructor(memory: TableMemory) {
    this.#memory = memory;
  }

  /** Undefined when the kernel must be read. */
  get table(): SavedTable | undefined {
    if (this.#epoch === undefined || this.#epoch !== this.#memory.epoch) return undefined;
    return this.#chains && { chains: this.#chains };
  }

  forget(): void {
    this.#chains = undefined;
    this.#epoch = undefined;
  }

  /** This was read in this round. */
  remember({ chains }: SavedTable): void {
    this.forget();
    this.#epoch = this.#memory.epoch;
    if (this.#epoch === undefined) return;
    this.#chains = new Map([...chains].map(([name, rules]) => [whole(name), rules.map(kept)]));
  }

  /** This was written. How a rule that we put into another's chain reads there only a look can tell. */
  learn({ changed, flushed, removed, kernelLines }: TableDifference): void {
    if (kernelLines.length > 0) this.forget();
    for (const name of flushed) this.#chains?.set(name, []);
    for (const name of removed) this.#chains?.delete(name);
    for (const { name, hashes } of changed) {
      this.#chains?.set(
        name,
        hashes.map((hash) => ({ hash, body: "" })),
      );
    }
  }
}

/** What a later plan asks of a rule: its own text only to delete it from another's chain. */
function kept({ hash, body, target }: SavedRule): SavedRule {
  return {
    body: hash === undefined ? "" : whole(body),
    ...(hash === undefined ? {} : { hash: whole(hash) }),
    ...(target !== undefined && isOwn(target) ? { target: whole(target) } : {}),
  };
}

/** A piece of a string keeps alive all that it was cut from: megabytes of a save. */
function whole(piece: string): string {
  return Buffer.from(piece).toString();
}
