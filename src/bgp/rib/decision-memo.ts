import type { Decision } from "./decision.ts";
import type { Candidate } from "./family-rib.ts";

const slotCount = 4096;

interface Entry {
  readonly peer: number;
  readonly attributesId: number;
  readonly candidate: Candidate;
  /** Where the path is the only one. */
  readonly alone: Decision;
}

/**
 * What paths of one batch are worth: the prefixes of one UPDATE have the same attributes, so each set
 * is judged once. Emptied after every batch, as ids are given again.
 */
export class DecisionMemo {
  readonly #entries: (Entry | undefined)[] = Array.from({ length: slotCount }, () => undefined);
  readonly #used: number[] = [];

  find(peer: number, attributesId: number): Entry | undefined {
    const entry = this.#entries[attributesId & (slotCount - 1)];
    return entry?.attributesId === attributesId && entry.peer === peer ? entry : undefined;
  }

  add(peer: number, attributesId: number, candidate: Candidate): Entry {
    const best = "path" in candidate ? candidate.path : undefined;
    const alone = best === undefined ? noPath : { best, equal: [best], lost: nobodyLost };
    const entry = { peer, attributesId, candidate, alone };
    const slot = attributesId & (slotCount - 1);
    if (this.#entries[slot] === undefined) this.#used.push(slot);
    this.#entries[slot] = entry;
    return entry;
  }

  clear(): void {
    for (const slot of this.#used) this.#entries[slot] = undefined;
    this.#used.length = 0;
  }
}

const nobodyLost: Decision["lost"] = new Map();

/** The decision where nothing is eligible. */
export const noPath: Decision = { best: undefined, equal: [], lost: nobodyLost };
