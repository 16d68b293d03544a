import type { Selector } from "../../api/selector/ast.ts";
import { evaluateSelector } from "../../api/selector/evaluate.ts";
import { labelRestrictions } from "../../api/selector/restrictions.ts";
import type { Slice } from "../../lib/time-slice.ts";
import { type Anchor, FiledByLabel, type Labels } from "./filed-by-label.ts";

export type { Labels } from "./filed-by-label.ts";

interface Item {
  readonly id: string;
  labels: Labels;
  readonly matches: Set<Entry>;
}

type Anchors = readonly Anchor[] | undefined;

/** A selector under its id. */
interface Entry {
  readonly id: string;
  selector: Selector;
  /** Where every match is filed; undefined: anywhere. */
  anchors: Anchors;
  /** How many items match: which ones they say themselves. */
  matches: number;
  removed: boolean;
}

export interface LabelIndexSizes {
  readonly items: number;
  /** Selectors that are filed under labels, and those that every item may match. */
  readonly anchored: number;
  readonly unanchored: number;
  /** How often a selector was evaluated since the index was made. */
  readonly evaluations: number;
}

/**
 * Which items match which selectors, kept up to date as both change.
 *
 * A selector is filed under one label that every match must have (with its value where there is
 * one), an item under those of its labels that selectors ask for: a change then meets its few
 * candidates, not everything.
 *
 * An item's change is done at once. A selector may have as many candidates as there are items, and ask
 * for a label under which none are filed: `work` files and tries them in slices, and answers are right
 * when it says that nothing is left.
 */
export class LabelIndex {
  readonly #items = new Map<string, Item>();
  readonly #entries = new Map<string, Entry>();
  readonly #itemsByLabel = new FiledByLabel<Item>();
  /** Labels under which items are filed, once that is done. Most labels nobody asks for. */
  readonly #filedLabels = new Set<string>();
  /** Labels among them under which items that were there before are still to be filed. */
  readonly #filings = new Map<string, Iterator<Item>>();
  /** Selectors that wait for such a label, and where they were filed before. */
  readonly #unplaced = new Map<Entry, Anchors>();
  readonly #entriesByAnchor = new FiledByLabel<Entry>();
  readonly #unanchored = new Set<Entry>();
  /** Candidates that are still to be tried. */
  readonly #scans = new Map<Entry, Generator<Item>>();
  /** Removed selectors, and items that may still name them. */
  readonly #removed = new Map<Entry, Generator<Item>>();
  readonly #onMatch: (selectorId: string, itemId: string, matches: boolean) => void;
  #evaluations = 0;

  /**
   * `onMatch` hears of every match that starts or ends, but not of those that end because their
   * selector is removed: who removes it knows.
   */
  constructor(onMatch: (selectorId: string, itemId: string, matches: boolean) => void) {
    this.#onMatch = onMatch;
  }

  get sizes(): LabelIndexSizes {
    const unanchored = this.#unanchored.size;
    return {
      items: this.#items.size,
      anchored: this.#entries.size - unanchored,
      unanchored,
      evaluations: this.#evaluations,
    };
  }

  isMatch(selectorId: string, itemId: string): boolean {
    const entry = this.#entries.get(selectorId);
    return entry !== undefined && this.#items.get(itemId)?.matches.has(entry) === true;
  }

  hasMatches(selectorId: string): boolean {
    return (this.#entries.get(selectorId)?.matches ?? 0) > 0;
  }

  /** Ids of the items that match a selector. */
  *itemsOf(selectorId: string): Generator<string> {
    const entry = this.#entries.get(selectorId);
    if (entry === undefined) return;
    for (const { id, matches } of this.#under(entry.anchors)) if (matches.has(entry)) yield id;
  }

  /** Ids of the selectors that match an item. */
  *selectorsOf(itemId: string): Generator<string> {
    for (const { id, removed } of this.#items.get(itemId)?.matches ?? []) if (!removed) yield id;
  }

  setItem(id: string, labels: Labels): void {
    const known = this.#items.get(id);
    if (known !== undefined && sameLabels(known.labels, labels)) return;
    const item = known ?? { id, labels: noLabels, matches: new Set() };
    this.#items.set(id, item);
    this.#refile(item, labels);
    // Asked by hundreds of selectors: a label that is inherited is looked for once.
    const own = new Map<string, string>();
    labels.forEach((value, label) => {
      own.set(label, value);
    });
    for (const entry of item.matches) this.#match(entry, item, own);
    const match = (entry: Entry) => {
      if (!item.matches.has(entry)) this.#match(entry, item, own);
    };
    this.#unanchored.forEach(match);
    for (const [label, value] of own) this.#entriesByAnchor.forEachFor(label, value, match);
  }

  removeItem(id: string): void {
    const item = this.#items.get(id);
    if (item === undefined) return;
    this.#items.delete(id);
    this.#refile(item, noLabels);
    for (const entry of item.matches) this.#record(entry, item, false);
  }

  setSelector(id: string, selector: Selector): void {
    const known = this.#entries.get(id);
    const entry = known ?? { id, selector, anchors: [], matches: 0, removed: false };
    this.#entries.set(id, entry);
    this.#unfile(entry);
    const before = entry.anchors;
    entry.selector = selector;
    // Until it has its place, a match may be anywhere.
    entry.anchors = undefined;
    this.#unanchored.add(entry);
    this.#unplaced.set(entry, before);
    for (const label of labelRestrictions(selector).keys()) this.#askFor(label);
    if (this.#filings.size === 0) this.#place(entry, before);
  }

  removeSelector(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    this.#unfile(entry);
    this.#unplaced.delete(entry);
    entry.removed = true;
    if (entry.matches > 0) {
      this.#removed.set(entry, this.#candidates(entry.anchors, [], this.#scans.get(entry)));
    }
    this.#scans.delete(entry);
  }

  /** Tries what is to be tried. @returns whether nothing is left. */
  work(slice: Slice): boolean {
    if (!this.#fileAll(slice)) return false;
    for (const [entry, before] of this.#unplaced) this.#place(entry, before);
    return this.#tryAll(this.#scans, slice) && this.#tryAll(this.#removed, slice);
  }

  #askFor(label: string): void {
    if (this.#filedLabels.has(label)) return;
    this.#filedLabels.add(label);
    if (this.#items.size > 0) this.#filings.set(label, this.#items.values());
  }

  /** Items that change meanwhile file themselves. */
  #fileAll(slice: Slice): boolean {
    for (const [label, items] of this.#filings) {
      for (let next = items.next(); next.done !== true; next = items.next()) {
        const value = next.value.labels.get(label);
        if (value !== undefined) this.#itemsByLabel.addTo(label, value, next.value);
        if (slice.isOver) return false;
      }
      this.#filings.delete(label);
    }
    return true;
  }

  /** Files a selector where the fewest items are, and has those tried that may match or did. */
  #place(entry: Entry, before: Anchors): void {
    this.#unplaced.delete(entry);
    const count = (anchor: Anchor) => this.#itemsByLabel.countUnder(anchor);
    entry.anchors = anchorsOfSelector(entry.selector, count);
    if (entry.anchors !== undefined) {
      this.#unanchored.delete(entry);
      for (const anchor of entry.anchors) this.#entriesByAnchor.add(anchor, entry);
    }
    this.#scans.set(entry, this.#candidates(entry.anchors, before, this.#scans.get(entry)));
  }

  #tryAll(scans: Map<Entry, Generator<Item>>, slice: Slice): boolean {
    for (const [entry, candidates] of scans) {
      for (let next = candidates.next(); next.done !== true; next = candidates.next()) {
        this.#match(entry, next.value);
        if (slice.isOver) return false;
      }
      scans.delete(entry);
    }
    return true;
  }

  /**
   * Who may match now, and who may have matched before: under the anchors of before, and what an
   * earlier change still had to try. Items change while this goes on: those that do are matched by
   * themselves.
   */
  *#candidates(
    now: Anchors,
    before: Anchors,
    earlier: Generator<Item> | undefined,
  ): Generator<Item> {
    if (earlier !== undefined) yield* earlier;
    yield* this.#under(before);
    yield* this.#under(now);
  }

  *#under(anchors: Anchors): Generator<Item> {
    if (anchors === undefined) yield* this.#items.values();
    else for (const anchor of anchors) yield* this.#itemsByLabel.under(anchor);
  }

  #refile(item: Item, labels: Labels): void {
    const before = item.labels;
    before.forEach((value, label) => {
      if (labels.get(label) !== value) this.#itemsByLabel.deleteFrom(label, value, item);
    });
    labels.forEach((value, label) => {
      if (!this.#filedLabels.has(label) || before.get(label) === value) return;
      this.#itemsByLabel.addTo(label, value, item);
    });
    item.labels = labels;
  }

  #unfile(entry: Entry): void {
    if (entry.anchors === undefined) this.#unanchored.delete(entry);
    else for (const anchor of entry.anchors) this.#entriesByAnchor.delete(anchor, entry);
  }

  #match(entry: Entry, item: Item, labels: Labels = item.labels): void {
    if (entry.removed) {
      item.matches.delete(entry);
      return;
    }
    this.#evaluations++;
    const matches = evaluateSelector(entry.selector, labels);
    if (matches !== item.matches.has(entry)) this.#record(entry, item, matches);
  }

  #record(entry: Entry, item: Item, matches: boolean): void {
    if (matches) item.matches.add(entry);
    else item.matches.delete(entry);
    entry.matches += matches ? 1 : -1;
    if (!entry.removed) this.#onMatch(entry.id, item.id, matches);
  }
}

/** Labels that whole namespaces, or all endpoints, have in common: they single out little. */
const common = /^(projectcalico\.org\/|pcns\.|pcsa\.)/;

/**
 * The places under which every match is filed: values of one label, or its presence, whichever has
 * the fewest items now; where that says nothing, of a label that is not common. Any choice is right.
 * Undefined: matches may be anywhere.
 */
function anchorsOfSelector(
  selector: Selector,
  itemsUnder: (anchor: Anchor) => number,
): readonly Anchor[] | undefined {
  let best: readonly Anchor[] | undefined;
  let least = [Number.POSITIVE_INFINITY];
  for (const [label, { values, mustBePresent }] of labelRestrictions(selector)) {
    if (values === undefined && mustBePresent !== true) continue;
    const anchors =
      values === undefined ? [{ label }] : [...values].map((value) => ({ label, value }));
    const items = anchors.reduce((sum, anchor) => sum + itemsUnder(anchor), 0);
    const cost = [items, common.test(label) ? 1 : 0, values === undefined ? 1 : 0, anchors.length];
    if (compareCosts(cost, least) < 0) [best, least] = [anchors, cost];
  }
  return best;
}

const noLabels: Labels = new Map();

function sameLabels(a: Labels, b: Labels): boolean {
  let difference = 0;
  a.forEach((value, label) => {
    difference += b.get(label) === value ? 1 : Number.NaN;
  });
  b.forEach(() => {
    difference--;
  });
  return difference === 0;
}

function compareCosts(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((cost, i) => cost !== b[i]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}
