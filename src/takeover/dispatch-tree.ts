import { chains } from "../felix/rules/names.ts";
import { canonicalRule } from "./canonical-rule.ts";

/**
 * Chains that only find the chain of an interface. In how many steps they do is nobody's business: Calico and tortie
 * shape the tree differently (facts 4.6, felix/rules/dispatch-chains.ts).
 */

const roots: readonly string[] = [
  chains.fromWorkloadDispatch,
  chains.toWorkloadDispatch,
  chains.fromHostEndpoint,
  chains.toHostEndpoint,
  chains.fromHostEndpointForward,
  chains.toHostEndpointForward,
];

/** Rules of each chain of a table. */
export type Bodies = ReadonlyMap<string, readonly string[]>;

/** The tree that a chain is of; undefined for a chain that is of none. */
export function dispatchRoot(chain: string): string | undefined {
  return roots.find((root) => chain === root || chain.startsWith(`${root}-`));
}

/** True when both trees lead each interface to the same. */
export function leadAlike(root: string, before: Bodies, after: Bodies): boolean {
  const [old, next] = [leavesOf(root, before), leavesOf(root, after)];
  if (old === undefined || next === undefined || old.size !== next.size) return false;
  return [...old].every(([name, leaf]) => next.get(name) === leaf);
}

/**
 * By interface, what becomes of a packet; "" is any other. Undefined when the chains do something else too, or when
 * what is on no known interface meets another end in one of them than in the root.
 */
function leavesOf(root: string, bodies: Bodies): Map<string, string> | undefined {
  const leaves = new Map<string, string>();
  const ends = new Set<string>();
  const directions = new Set<string>();
  const walk = (chain: string, prefix: string): boolean => {
    const end: string[] = [];
    for (const body of bodies.get(chain) ?? []) {
      const { direction = "", name, rest } = parted(canonicalRule(body));
      if (name !== undefined) directions.add(direction);
      const child = rest.startsWith("-g ") ? rest.slice("-g ".length) : "";
      if (name === undefined) end.push(rest);
      else if (!name.startsWith(prefix) || end.length > 0) return false;
      else if (name.endsWith("+") && child.startsWith(`${root}-`)) {
        if (!walk(child, name.slice(0, -1))) return false;
      } else if (name.endsWith("+") || rest.split(" ").length !== 2) return false;
      else if (!leaves.has(name)) leaves.set(name, rest);
    }
    ends.add(end.join("\n"));
    return true;
  };
  if (!walk(root, "") || ends.size > 1) return undefined;
  return leaves.set("", [...directions, ...ends].join("\n"));
}

/** The interface that a rule asks for, whether packets come or go through it, and all else of the rule. */
function parted(rule: string): {
  readonly direction?: string;
  readonly name?: string;
  readonly rest: string;
} {
  const [whole, direction, name] = /(?:^| )-([io]) (\S+)/.exec(rule) ?? [];
  if (whole === undefined || direction === undefined || name === undefined) return { rest: rule };
  return { direction, name, rest: rule.replace(whole, "").trim() };
}
