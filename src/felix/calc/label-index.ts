import type { Selector } from "../../api/selector/ast.ts";
import { evaluateSelector } from "../../api/selector/evaluate.ts";
import { labelRestrictions } from "../../api/selector/restrictions.ts";
import { getOrCreate } from "../../lib/collections.ts";

export type Labels = ReadonlyMap<string, string>;

/**
 * Which items match which selectors, kept up to date as both change.
 *
 * A selector is filed under one label that every match must have (with its value where there is
 * one), an item under all its labels: a change then meets its few candidates, not everything.
 */
export class LabelIndex {
  readonly #items = new Map<string, Labels>();
  readonly #selectors = new Map<
    string,
    { readonly selector: Selector; readonly anchors: Anchors }
  >();
  /** Items by "label" and by "label\0value". */
  readonly #itemsByLabel = new Map<string, Set<string>>();
  /** Selectors by anchor; those without any under "". */
  readonly #selectorsByAnchor = new Map<string, Set<string>>();
  readonly #itemsOf = new Map<string, Set<string>>();
  readonly #selectorsOf = new Map<string, Set<string>>();
  readonly #onMatch: (selectorId: string, itemId: string, matches: boolean) => void;

  /** `onMatch` hears of every match that starts or ends. */
  constructor(onMatch: (selectorId: string, itemId: string, matches: boolean) => void) {
    this.#onMatch = onMatch;
  }

  labelsOf(itemId: string): Labels | undefined {
    return this.#items.get(itemId);
  }

  /** Items that match a selector now. */
  itemsOf(selectorId: string): ReadonlySet<string> {
    return this.#itemsOf.get(selectorId) ?? none;
  }

  /** Selectors that match an item now. */
  selectorsOf(itemId: string): ReadonlySet<string> {
    return this.#selectorsOf.get(itemId) ?? none;
  }

  setItem(id: string, labels: Labels): void {
    this.#unfileItem(id);
    this.#items.set(id, labels);
    for (const anchor of anchorsOfLabels(labels)) file(this.#itemsByLabel, anchor, id);
    const candidates = new Set(this.selectorsOf(id));
    for (const anchor of ["", ...anchorsOfLabels(labels)]) {
      for (const selectorId of this.#selectorsByAnchor.get(anchor) ?? none)
        candidates.add(selectorId);
    }
    for (const selectorId of candidates) this.#match(selectorId, id);
  }

  removeItem(id: string): void {
    this.#unfileItem(id);
    for (const selectorId of this.selectorsOf(id)) this.#record(selectorId, id, false);
    this.#selectorsOf.delete(id);
  }

  setSelector(id: string, selector: Selector): void {
    this.#unfileSelector(id);
    const anchors = anchorsOfSelector(
      selector,
      (anchor) => this.#itemsByLabel.get(anchor)?.size ?? 0,
    );
    this.#selectors.set(id, { selector, anchors });
    for (const anchor of anchors) file(this.#selectorsByAnchor, anchor, id);
    const candidates = new Set(this.itemsOf(id));
    for (const anchor of anchors) {
      const items = anchor === "" ? this.#items.keys() : (this.#itemsByLabel.get(anchor) ?? none);
      for (const itemId of items) candidates.add(itemId);
    }
    for (const itemId of candidates) this.#match(id, itemId);
  }

  removeSelector(id: string): void {
    this.#unfileSelector(id);
    for (const itemId of this.itemsOf(id)) this.#record(id, itemId, false);
    this.#itemsOf.delete(id);
  }

  #match(selectorId: string, itemId: string): void {
    const entry = this.#selectors.get(selectorId);
    const labels = this.#items.get(itemId);
    const matches =
      entry !== undefined && labels !== undefined && evaluateSelector(entry.selector, labels);
    if (matches !== this.itemsOf(selectorId).has(itemId)) this.#record(selectorId, itemId, matches);
  }

  #record(selectorId: string, itemId: string, matches: boolean): void {
    if (matches) {
      file(this.#itemsOf, selectorId, itemId);
      file(this.#selectorsOf, itemId, selectorId);
    } else {
      this.#itemsOf.get(selectorId)?.delete(itemId);
      this.#selectorsOf.get(itemId)?.delete(selectorId);
    }
    this.#onMatch(selectorId, itemId, matches);
  }

  #unfileItem(id: string): void {
    const labels = this.#items.get(id);
    if (labels === undefined) return;
    this.#items.delete(id);
    for (const anchor of anchorsOfLabels(labels)) unfile(this.#itemsByLabel, anchor, id);
  }

  #unfileSelector(id: string): void {
    const entry = this.#selectors.get(id);
    if (entry === undefined) return;
    this.#selectors.delete(id);
    for (const anchor of entry.anchors) unfile(this.#selectorsByAnchor, anchor, id);
  }
}

type Anchors = readonly string[];

const none: ReadonlySet<string> = new Set();

function anchorsOfLabels(labels: Labels): string[] {
  return [...labels].flatMap(([label, value]) => [label, `${label}\0${value}`]);
}

/** Labels that whole namespaces, or all endpoints, have in common: they single out little. */
const common = /^(projectcalico\.org\/|pcns\.|pcsa\.)/;

/**
 * The places under which every match is filed: values of one label, or its presence, whichever has
 * the fewest items now; where that says nothing, of a label that is not common. Any choice is right.
 */
function anchorsOfSelector(selector: Selector, itemsAt: (anchor: string) => number): Anchors {
  let best: Anchors = [""];
  let least = [Number.POSITIVE_INFINITY];
  for (const [label, { values, mustBePresent }] of labelRestrictions(selector)) {
    if (values === undefined && mustBePresent !== true) continue;
    const anchors =
      values === undefined ? [label] : [...values].map((value) => `${label}\0${value}`);
    const items = anchors.reduce((sum, anchor) => sum + itemsAt(anchor), 0);
    const cost = [items, common.test(label) ? 1 : 0, values === undefined ? 1 : 0, anchors.length];
    if (compareCosts(cost, least) < 0) [best, least] = [anchors, cost];
  }
  return best;
}

function compareCosts(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((cost, i) => cost !== b[i]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

function file(index: Map<string, Set<string>>, key: string, id: string): void {
  getOrCreate(index, key, () => new Set<string>()).add(id);
}

function unfile(index: Map<string, Set<string>>, key: string, id: string): void {
  const ids = index.get(key);
  ids?.delete(id);
  if (ids?.size === 0) index.delete(key);
}
