import { type Chain, type Rule, targetOf } from "../../kernel/iptables/model.ts";
import { compareText, groupBy } from "../../lib/collections.ts";
import { goto, interfaceIs, interfacePrefix, returns } from "./match.ts";
import {
  allInterfaces,
  chains,
  type Direction,
  endpointChainName,
  hostEndpointChainName,
  hostForwardChainName,
} from "./names.ts";
import { filterDeny, type RulesConfig } from "./rules-config.ts";

/**
 * Finds an endpoint's chain by the interface in two steps rather than by one long list (facts 4.6):
 * names that share the character behind the common prefix share a child chain. A goto does not come
 * back, so what is on none of the interfaces meets the same end in child chains as in the root.
 *
 * Pods come and go: differs from Calico there. What a new one needs is only added, never is a rule changed
 * for it: names are told apart by the character behind the configured prefix, a child chain is there from
 * the first name on, and each rule has a hash of its own.
 */
interface Dispatch {
  readonly root: string;
  readonly way: "in" | "out";
  /** Chain of an interface. */
  readonly target: (interfaceName: string) => string;
  readonly end: readonly Rule[];
  /** Beginnings of pods' interfaces. Undefined: interfaces are the host's. */
  readonly podPrefixes?: readonly string[];
}

/** What is on no pod's interface is dropped. */
export function dispatchChains(interfaceNames: Iterable<string>, config: RulesConfig): Chain[] {
  const names = sorted(interfaceNames);
  const end: Rule[] = [{ match: [], action: filterDeny(config), comments: ["Unknown interface"] }];
  const podPrefixes = config.workloadInterfacePrefixes;
  const side = (root: string, way: "in" | "out", direction: Direction) => {
    const target = (name: string) => endpointChainName(name, direction);
    return tree(names, { root, way, target, end, podPrefixes });
  };
  return [
    ...side(chains.fromWorkloadDispatch, "in", "egress"),
    ...side(chains.toWorkloadDispatch, "out", "ingress"),
  ];
}

/** What `dispatchChains` gives; a chain that leads to the same as before is the same object again. */
export class DispatchChains {
  #known: ReadonlyMap<string, Chain> = new Map();
  #config: RulesConfig | undefined;

  of(interfaceNames: Iterable<string>, config: RulesConfig): Chain[] {
    const known = config === this.#config ? this.#known : undefined;
    const made = dispatchChains(interfaceNames, config).map((chain) => {
      const before = known?.get(chain.name);
      return before !== undefined && leadsAs(before, chain) ? before : chain;
    });
    this.#known = new Map(made.map((chain) => [chain.name, chain]));
    this.#config = config;
    return made;
  }
}

/** Of one configuration: then rules are known by their interface and where they lead. Hot: of every pod. */
function leadsAs(before: Chain, after: Chain): boolean {
  if (before.rules.length !== after.rules.length) return false;
  return after.rules.every((rule, at) => {
    const known = before.rules[at] ?? rule;
    return interfaceOf(rule) === interfaceOf(known) && targetOf(rule) === targetOf(known);
  });
}

function interfaceOf({ match: [first] }: Rule): string | undefined {
  return first?.kind === "interface" ? first.name : undefined;
}

/** Interfaces that have a host endpoint in one table. `all`: others have the one of all interfaces. */
export interface HostInterfaces {
  readonly names: Iterable<string>;
  readonly all: boolean;
}

/** What comes in by an interface, to the chain of its host endpoint. */
export function fromHostDispatch({ names, all }: HostInterfaces): Chain[] {
  const target = (name: string) => hostEndpointChainName(name, "ingress");
  const end = all ? [gotoAll(target)] : [];
  return tree(sorted(names), { root: chains.fromHostEndpoint, way: "in", target, end });
}

/**
 * What goes out. `workloadPrefixes`: what goes to pods is none of the host endpoint of all
 * interfaces, where nothing has sorted it out before.
 */
export function toHostDispatch(
  { names, all }: HostInterfaces,
  workloadPrefixes: readonly string[] = [],
): Chain[] {
  const target = (name: string) => hostEndpointChainName(name, "egress");
  const skip = workloadPrefixes.map(
    (prefix): Rule => ({
      match: [interfacePrefix("out", prefix)],
      action: returns,
      comments: ["Skip egress WHEP policy for traffic to local workload"],
    }),
  );
  const end = all ? [...skip, gotoAll(target)] : [];
  return tree(sorted(names), { root: chains.toHostEndpoint, way: "out", target, end });
}

/** What is forwarded, either way. */
export function hostForwardDispatch({ names, all }: HostInterfaces): Chain[] {
  const list = sorted(names);
  const side = (root: string, way: "in" | "out", direction: Direction) => {
    const target = (name: string) => hostForwardChainName(name, direction);
    return tree(list, { root, way, target, end: all ? [gotoAll(target)] : [] });
  };
  return [
    ...side(chains.fromHostEndpointForward, "in", "ingress"),
    ...side(chains.toHostEndpointForward, "out", "egress"),
  ];
}

function gotoAll(target: Dispatch["target"]): Rule {
  return { match: [], action: goto(target(allInterfaces)) };
}

function sorted(names: Iterable<string>): string[] {
  return [...new Set(names)].sort(compareText);
}

/** Child chains, then the root. `names` are sorted and distinct. */
function tree(
  names: readonly string[],
  { root, way, target, end, podPrefixes }: Dispatch,
): Chain[] {
  const toEndpoint = (name: string): Rule => ({
    match: [interfaceIs(way, name)],
    action: goto(target(name)),
  });
  const hashes = podPrefixes === undefined ? {} : { separate: true };
  const common =
    podPrefixes?.find((prefix) => names.every((name) => name.startsWith(prefix))) ??
    commonPrefix(names);
  const children: Chain[] = [];
  const rules: Rule[] = [];
  for (const [next, bucket] of groupBy(names, (name) => name.charAt(common.length))) {
    if (bucket.length === 1 && (podPrefixes === undefined || next === "")) {
      rules.push(...bucket.map(toEndpoint));
      continue;
    }
    const child = `${root}-${next}`;
    rules.push({ match: [interfacePrefix(way, common + next)], action: goto(child) });
    children.push({ name: child, rules: [...bucket.map(toEndpoint), ...end], ...hashes });
  }
  return [...children, { name: root, rules: [...rules, ...end], ...hashes }];
}

/** The first and the last of a sorted list share what all share. */
function commonPrefix(sortedNames: readonly string[]): string {
  const first = sortedNames[0] ?? "";
  const last = sortedNames.at(-1) ?? "";
  let length = 0;
  while (length < first.length && first[length] === last[length]) length++;
  return first.slice(0, length);
}
