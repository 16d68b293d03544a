import { keyText, type ResourceKey } from "../../src/api/resource-key.ts";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import type { Update } from "../../src/datastore/syncer.ts";

/** Which object of a name, and which version of it. A label of each object that is written. */
export interface Stamp {
  readonly incarnation: number;
  readonly version: number;
}

const stampLabel = "soak";

export function stampLabels({ incarnation, version }: Stamp): Readonly<Record<string, string>> {
  return { [stampLabel]: `${incarnation}.${version}` };
}

export function stampOf({ metadata }: Pick<AnyResource, "metadata">): Stamp {
  const [incarnation, version] = (metadata.labels?.[stampLabel] ?? "").split(".").map(Number);
  if (!incarnation || !version) throw new Error(`${metadata.name} has no label ${stampLabel}`);
  return { incarnation, version };
}

export interface Counts {
  readonly changes: number;
  readonly deletes: number;
  /** What was told a second time, or was older than what was told before: allowed. */
  readonly repeats: number;
}

/**
 * What a writer has done beside what a watcher is told. A watch tells every change; a list may jump.
 * What must not be is kept in `defects`.
 */
export class Truth {
  readonly defects: string[] = [];
  readonly #stored = new Map<string, Stamp>();
  /** Incarnations that were deleted, or are being deleted. */
  readonly #deleted = new Set<number>();
  readonly #told = new Map<string, Stamp>();
  /** By key: the highest incarnation that was told. */
  readonly #newest = new Map<string, number>();
  #isListing = false;
  #changes = 0;
  #deletes = 0;
  #repeats = 0;

  get counts(): Counts {
    return { changes: this.#changes, deletes: this.#deletes, repeats: this.#repeats };
  }

  storedAt(key: ResourceKey, stamp: Stamp): void {
    this.#stored.set(keyText(key), stamp);
  }

  /** From here on the watcher may hear that this incarnation is gone. */
  willDelete(key: ResourceKey): void {
    const stamp = this.#stored.get(keyText(key));
    if (stamp !== undefined) this.#deleted.add(stamp.incarnation);
  }

  deleted(key: ResourceKey): void {
    this.#stored.delete(keyText(key));
  }

  /** What is told until `watching()` comes from lists. */
  listing(): void {
    this.#isListing = true;
  }

  watching(): void {
    this.#isListing = false;
  }

  tell({ key, value }: Update): void {
    const text = keyText(key);
    if (value === null) this.#tellGone(text);
    else this.#tellSet(text, stampOf(value));
  }

  #tellGone(text: string): void {
    const before = this.#told.get(text);
    if (before === undefined) {
      this.#repeats++;
      return;
    }
    this.#deletes++;
    this.#told.delete(text);
    if (!this.#deleted.has(before.incarnation)) {
      this.defects.push(`${text}: told as deleted, and nobody deleted ${textOf(before)}`);
    }
  }

  #tellSet(text: string, stamp: Stamp): void {
    const before = this.#told.get(text);
    const newest = this.#newest.get(text) ?? 0;
    this.#told.set(text, stamp);
    this.#newest.set(text, Math.max(newest, stamp.incarnation));
    const isOlder =
      before === undefined
        ? stamp.incarnation <= newest
        : stamp.incarnation < before.incarnation ||
          (stamp.incarnation === before.incarnation && stamp.version <= before.version);
    if (isOlder) {
      this.#repeats++;
      return;
    }
    this.#changes++;
    if (this.#isListing) return;
    const follows =
      before === undefined
        ? stamp.version === 1
        : stamp.incarnation === before.incarnation && stamp.version === before.version + 1;
    if (follows) return;
    const from = before === undefined ? "absent" : textOf(before);
    this.defects.push(`${text}: told as ${textOf(stamp)} after ${from}: a change was lost`);
  }

  /** How what was told differs from what is stored. */
  differences(): string[] {
    return differences({ stored: this.#stored, told: this.#told });
  }

  /** How a list differs from what was stored. */
  differencesFrom(listed: ReadonlyMap<string, Stamp>): string[] {
    return differences({ stored: this.#stored, listed });
  }
}

function differences(sides: Readonly<Record<string, ReadonlyMap<string, Stamp>>>): string[] {
  const texts = new Set(Object.values(sides).flatMap((side) => [...side.keys()]));
  return [...texts].flatMap((text) => {
    const seen = Object.entries(sides).map(([side, stamps]) => {
      const stamp = stamps.get(text);
      return [side, stamp === undefined ? "absent" : textOf(stamp)] as const;
    });
    const isOne = new Set(seen.map(([, stamp]) => stamp)).size === 1;
    return isOne ? [] : [`${text}: ${seen.map((each) => each.join(" ")).join(", ")}`];
  });
}

function textOf({ incarnation, version }: Stamp): string {
  return `${incarnation}.${version}`;
}
