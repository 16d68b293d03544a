import type { GlobalNetworkPolicy, NetworkPolicy } from "../resources/policy.ts";
import type { EntityRule } from "../resources/rule.ts";
import { and, equals, has, inSet, mapLeaves, not, type Selector } from "./ast.ts";
import { parseSelector } from "./parser.ts";

/**
 * Selectors as a user writes them are relative: to the policy's namespace, to namespaces, to service
 * accounts. Endpoints carry all of that as labels (their namespace's under "pcns.", their service
 * account's under "pcsa."), so here they become absolute (facts 2.6 "Backend selector construction").
 * The shape of the result is a contract: ids of IP sets are hashes of its canonical text.
 *
 * Every function throws SyntaxError when a selector cannot be parsed.
 */

export const namespaceLabel = "projectcalico.org/namespace";
export const serviceAccountLabel = "projectcalico.org/serviceaccount";

/** Prefix of the labels that an endpoint inherits from its namespace. */
export const namespaceLabelPrefix = "pcns.";
/** Prefix of the labels that an endpoint inherits from its service account. */
export const serviceAccountLabelPrefix = "pcsa.";

/** Which endpoints a policy applies to. */
export function policySelector(policy: NetworkPolicy | GlobalNetworkPolicy): Selector {
  return policy.kind === "NetworkPolicy"
    ? namespacedPolicySelector(policy)
    : globalPolicySelector(policy);
}

function namespacedPolicySelector({ metadata, spec }: NetworkPolicy): Selector {
  const selector = and([
    ...parsed(spec.selector),
    equals(namespaceLabel, metadata.namespace ?? "default"),
  ]);
  return and([selector, ...prefixed(spec.serviceAccountSelector, serviceAccountLabelPrefix)]);
}

function globalPolicySelector({ spec }: GlobalNetworkPolicy): Selector {
  let selector = parsed(spec.selector);
  if (isGiven(spec.namespaceSelector)) {
    const whole = and([...selector, ...prefixed(spec.namespaceSelector, namespaceLabelPrefix)]);
    selector = [replaceAll(whole, has(namespaceLabel))];
  }
  if (isGiven(spec.serviceAccountSelector)) {
    const accounts = prefixed(spec.serviceAccountSelector, serviceAccountLabelPrefix);
    selector = [replaceAll(and([...selector, ...accounts]), has(serviceAccountLabel))];
  }
  return and(selector);
}

/**
 * Which endpoints and network sets the source or destination of a rule means, or undefined when it
 * does not select by labels. `namespace` is that of a NetworkPolicy, undefined for a global one.
 * `notSelector` is another, unscoped, negative match; but it too limits the rule to the namespace.
 */
export function entitySelector(
  entity: EntityRule,
  namespace: string | undefined,
): Selector | undefined {
  const accounts = serviceAccountSelector(entity);
  const selectors = [...accounts, ...parsed(entity.selector)];
  if (isGiven(entity.namespaceSelector)) {
    return and([ruleNamespaces(entity.namespaceSelector), ...nested(selectors)]);
  }
  const limited = selectors.length > 0 || isGiven(entity.notSelector);
  if (namespace !== undefined && limited) {
    return and([equals(namespaceLabel, namespace), ...nested(selectors)]);
  }
  return selectors.length === 0 ? undefined : and(selectors);
}

/** All labels of the selector with `prefix` before their names. */
export function prefixLabels(selector: Selector, prefix: string): Selector {
  return mapLeaves(selector, (leaf) =>
    "label" in leaf ? { ...leaf, label: prefix + leaf.label } : leaf,
  );
}

/** `all()` of a namespace selector means every namespace, `global()` what is in none. */
function ruleNamespaces(namespaceSelector: string): Selector {
  const selector = prefixLabels(parseSelector(namespaceSelector), namespaceLabelPrefix);
  return mapLeaves(selector, (leaf) => {
    if (leaf.kind === "all") return has(namespaceLabel);
    return leaf.kind === "global" ? not(has(namespaceLabel)) : leaf;
  });
}

/** The accounts' labels, then their names: both must match. */
function serviceAccountSelector({ serviceAccounts }: EntityRule): Selector[] {
  const { names = [], selector } = serviceAccounts ?? {};
  const terms = [
    ...prefixed(selector, serviceAccountLabelPrefix),
    ...(names.length > 0 ? [inSet(serviceAccountLabel, names)] : []),
  ];
  return nested(terms);
}

function replaceAll(selector: Selector, replacement: Selector): Selector {
  return mapLeaves(selector, (leaf) => (leaf.kind === "all" ? replacement : leaf));
}

function nested(selectors: readonly Selector[]): Selector[] {
  return selectors.length === 0 ? [] : [and(selectors)];
}

function parsed(text: string | undefined): Selector[] {
  return isGiven(text) ? [parseSelector(text)] : [];
}

function prefixed(text: string | undefined, prefix: string): Selector[] {
  return parsed(text).map((selector) => prefixLabels(selector, prefix));
}

function isGiven(text: string | undefined): text is string {
  return text !== undefined && text !== "";
}
