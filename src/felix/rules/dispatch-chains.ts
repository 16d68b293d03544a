import type { Chain, Rule } from "../../kernel/iptables/model.ts";
import { compareText, groupBy } from "../../lib/collections.ts";
import { goto, interfaceIs, interfacePrefix } from "./match.ts";
import { chains, type Direction, endpointChainName } from "./names.ts";
import { filterDeny, type RulesConfig } from "./rules-config.ts";

/**
 * Finds a pod's chain by the interface in two steps rather than by one long list (facts 4.6): names
 * that share the character behind the common prefix share a child chain. What is on none of them
 * is dropped, in the child chains as well: a goto does not come back.
 */
export function dispatchChains(interfaceNames: Iterable<string>, config: RulesConfig): Chain[] {
  const names = [...new Set(interfaceNames)].sort(compareText);
  return [
    ...tree(names, { root: chains.fromWorkloadDispatch, direction: "egress" }, config),
    ...tree(names, { root: chains.toWorkloadDispatch, direction: "ingress" }, config),
  ];
}

interface Side {
  readonly root: string;
  /** As the pod sees it. */
  readonly direction: Direction;
}

/** Child chains, then the root. `names` are sorted and distinct. */
function tree(names: readonly string[], { root, direction }: Side, config: RulesConfig): Chain[] {
  const way = direction === "egress" ? "in" : "out";
  const end: Rule = { match: [], action: filterDeny(config), comments: ["Unknown interface"] };
  const toEndpoint = (name: string): Rule => ({
    match: [interfaceIs(way, name)],
    action: goto(endpointChainName(name, direction)),
  });
  const common = commonPrefix(names);
  const children: Chain[] = [];
  const rules: Rule[] = [];
  for (const [next, bucket] of groupBy(names, (name) => name.charAt(common.length))) {
    if (bucket.length === 1) {
      rules.push(...bucket.map(toEndpoint));
      continue;
    }
    const child = `${root}-${next}`;
    rules.push({ match: [interfacePrefix(way, common + next)], action: goto(child) });
    children.push({ name: child, rules: [...bucket.map(toEndpoint), end] });
  }
  return [...children, { name: root, rules: [...rules, end] }];
}

/** The first and the last of a sorted list share what all share. */
function commonPrefix(sorted: readonly string[]): string {
  const first = sorted[0] ?? "";
  const last = sorted.at(-1) ?? "";
  let length = 0;
  while (length < first.length && first[length] === last[length]) length++;
  return first.slice(0, length);
}
