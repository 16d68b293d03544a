import { keyOf, keyText } from "../../src/api/resource-key.ts";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import type { Update } from "../../src/datastore/syncer.ts";
import { CalcGraph } from "../../src/felix/calc/calc-graph.ts";
import { steps } from "../support/steps.ts";
import { DataplaneModel } from "./dataplane-model.ts";
import { me } from "./resources.ts";

/** How the way from one state to the next is told. All must end in the same dataplane. */
export interface FeedStyle {
  readonly name: string;
  readonly flush: "each-update" | "each-state" | "at-end";
  readonly inSync: "first" | "last";
  /** Of so many steps is the slice of work that follows each update; none unless said. */
  readonly work?: number;
  /** What else may be told on the way. */
  readonly expand: (updates: readonly Update[]) => readonly Update[];
}

const once = (updates: readonly Update[]) => updates;
const reversed = (updates: readonly Update[]) => updates.toReversed();
const twice = (updates: readonly Update[]) => updates.flatMap((update) => [update, update]);
/** Everything is told, then gone, then told again. */
const flapping = (updates: readonly Update[]) => [
  ...updates,
  ...updates.map(({ key }) => ({ key, value: null })),
  ...updates.toReversed(),
];

export const styles: readonly FeedStyle[] = [
  { name: "plain", flush: "each-state", inSync: "first", expand: once },
  { name: "reversed", flush: "each-state", inSync: "first", expand: reversed },
  { name: "split", flush: "each-update", inSync: "first", expand: once },
  { name: "reversed and split", flush: "each-update", inSync: "first", expand: reversed },
  { name: "squashed", flush: "at-end", inSync: "first", expand: once },
  { name: "in sync at the end", flush: "each-update", inSync: "last", expand: reversed },
  { name: "duplicated", flush: "each-update", inSync: "first", expand: twice },
  { name: "flapping", flush: "each-update", inSync: "first", expand: flapping },
  { name: "flapping and squashed", flush: "at-end", inSync: "first", expand: flapping },
  { name: "in slices", flush: "each-state", inSync: "first", expand: reversed, work: 1 },
  { name: "flapping in slices", flush: "at-end", inSync: "first", expand: flapping, work: 3 },
];

/** The dataplane after a graph went through the states in order. */
export function feed(sequence: readonly (readonly AnyResource[])[], style: FeedStyle): string {
  const graph = new CalcGraph({ nodeName: me });
  const model = new DataplaneModel();
  const flush = () => model.take(graph.flush());
  if (style.inSync === "first") graph.setInSync();
  let before: readonly AnyResource[] = [];
  for (const next of sequence) {
    for (const { key, value } of style.expand(changes(before, next))) {
      graph.update(key, value);
      if (style.work !== undefined) {
        graph.begin();
        graph.work(steps(style.work));
      }
      if (style.flush === "each-update") flush();
    }
    if (style.flush === "each-state") flush();
    before = next;
  }
  graph.setInSync();
  flush();
  return model.text();
}

function changes(before: readonly AnyResource[], next: readonly AnyResource[]): Update[] {
  const kept = new Set(next.map((resource) => keyText(keyOf(resource))));
  const gone = before.map(keyOf).filter((key) => !kept.has(keyText(key)));
  return [
    ...gone.map((key) => ({ key, value: null })),
    ...next.map((resource) => ({ key: keyOf(resource), value: resource })),
  ];
}
