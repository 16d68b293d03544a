import { compareText } from "../lib/collections.ts";
import type { FelixConfiguration } from "./resources/felix-configuration.ts";
import { evaluateSelector } from "./selector/evaluate.ts";
import { parseSelector } from "./selector/parser.ts";

type Spec = FelixConfiguration["spec"];

/** What the datastore says of one node's Felix, the later over the earlier (facts 2.8). */
export interface FelixLayers {
  /** The configuration "default", and over it the one whose nodeSelector selects the node. */
  readonly global?: Spec;
  /** The configuration "node.<name>". */
  readonly node?: Spec;
}

const globalName = "default";
const nodePrefix = "node.";

/** Of several configurations that select a node the oldest acts. Pure. */
export function felixLayers(
  configurations: Iterable<FelixConfiguration>,
  node: { readonly name: string; readonly labels: Readonly<Record<string, string>> },
): FelixLayers {
  const all = [...configurations];
  const named = (name: string) => all.find(({ metadata }) => metadata.name === name)?.spec;
  const [selected] = all.filter((configuration) => selects(configuration, node.labels)).sort(byAge);
  const [global, own] = [named(globalName), named(nodePrefix + node.name)];
  const { nodeSelector: _selector, ...chosen } = selected?.spec ?? {};
  const hasGlobal = global !== undefined || selected !== undefined;
  return {
    ...(hasGlobal ? { global: { ...global, ...chosen } } : {}),
    ...(own === undefined ? {} : { node: own }),
  };
}

/** Those two names are not chosen by labels; a selector that cannot be read selects nobody. */
function selects({ metadata, spec }: FelixConfiguration, labels: FelixLabels): boolean {
  const { nodeSelector } = spec;
  if (metadata.name === globalName || metadata.name.startsWith(nodePrefix)) return false;
  if (typeof nodeSelector !== "string" || nodeSelector === "") return false;
  try {
    return evaluateSelector(parseSelector(nodeSelector), labels);
  } catch {
    return false;
  }
}

type FelixLabels = Readonly<Record<string, string>>;

function byAge({ metadata: a }: FelixConfiguration, { metadata: b }: FelixConfiguration): number {
  const created = (text = "") => Date.parse(text) || 0;
  return created(a.creationTimestamp) - created(b.creationTimestamp) || compareText(a.name, b.name);
}
