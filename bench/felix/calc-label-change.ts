import { parseSelector } from "../../src/api/selector/parser.ts";
import { LabelIndex, type Labels } from "../../src/felix/calc/label-index.ts";
import { unlimited } from "../../src/lib/time-slice.ts";

export const endpoints = 10_000;
export const selectors = 5_000;
const changes = 5_000;
const namespaces = 50;
const apps = 40;

/** How many of a hundred selectors have each form. */
const forms: readonly (readonly [share: number, selector: (i: number) => string])[] = [
  [
    70,
    (i) => `projectcalico.org/namespace == 'team-${i % namespaces}' && app == 'app-${i % apps}'`,
  ],
  [10, (i) => `app in { 'app-${i % apps}', 'app-${(i * 7) % apps}' } && pcns.env == 'production'`],
  [10, (i) => `role == 'role-${i % 10}' && app != 'app-${i % apps}'`],
  [5, (i) => `has(feature-${i % 20})`],
  [4, (i) => `app starts with 'app-${i % 4}' && !has(feature-${i % 20})`],
  [1, (i) => `app != 'app-${i % apps}'`],
];

export const selectorMix: string = forms.map(([share, of]) => `${share} ${of(1)}`).join("; ");

function selectorText(index: number): string {
  let rest = index % 100;
  for (const [share, of] of forms) {
    if (rest < share) return of(Math.floor(index / 100) * 37 + rest);
    rest -= share;
  }
  throw new RangeError("Cannot choose a selector: the shares are not a hundred");
}

function labelsOf(endpoint: number, app: number): Labels {
  const namespace = endpoint % namespaces;
  return new Map([
    ["app", `app-${app}`],
    ["role", `role-${endpoint % 10}`],
    [`feature-${endpoint % 20}`, "on"],
    ["pod-template-hash", `${endpoint}`],
    ["projectcalico.org/namespace", `team-${namespace}`],
    ["projectcalico.org/orchestrator", "k8s"],
    ["pcns.projectcalico.org/name", `team-${namespace}`],
    ["pcns.env", namespace % 3 === 0 ? "production" : "test"],
  ]);
}

/** Times in ms of one endpoint's change from one app to another, all its matches found. */
export function labelChangeTimes(): number[] {
  let matches = 0;
  const index = new LabelIndex(() => matches++);
  for (let i = 0; i < endpoints; i++) index.setItem(`e${i}`, labelsOf(i, i % apps));
  for (let i = 0; i < selectors; i++) index.setSelector(`s${i}`, parseSelector(selectorText(i)));
  index.work(unlimited);
  const times: number[] = [];
  for (let i = 0; i < changes; i++) {
    const endpoint = (i * 7919) % endpoints;
    const startedAt = performance.now();
    index.setItem(`e${endpoint}`, labelsOf(endpoint, (endpoint + 1 + i) % apps));
    index.work(unlimited);
    times.push(performance.now() - startedAt);
  }
  if (matches < changes) throw new Error(`Cannot trust the row: ${matches} matches changed`);
  return times;
}
