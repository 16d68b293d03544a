import type { EntityRule } from "../api/resources/rule.ts";
import { all, mapLeaves, not, type Selector } from "../api/selector/ast.ts";
import { evaluateSelector } from "../api/selector/evaluate.ts";
import { parseSelector } from "../api/selector/parser.ts";
import type { Policy } from "./cluster.ts";
import { accountLabel, type Labels, namespaceLabel } from "./population.ts";

/**
 * What selectors mean, each where it stands (facts 2.6): one of a namespace looks at the labels of the
 * endpoint's namespace, one of service accounts at those of its account. Every function throws
 * SyntaxError for a selector that cannot be read.
 */

/** Whether a policy is about the endpoint with these labels. */
export function policySelects(policy: Policy, labels: Labels): boolean {
  const { selector, serviceAccountSelector } = policy.spec;
  if (policy.kind === "NetworkPolicy") {
    const { namespace = "default" } = policy.metadata;
    return (
      labels.get(namespaceLabel) === namespace &&
      selects(selector, labels) &&
      selects(serviceAccountSelector, handedDown(labels, "pcsa."))
    );
  }
  const { namespaceSelector } = policy.spec;
  const inNamespace = labels.has(namespaceLabel);
  const hasAccount = labels.has(accountLabel);
  // Beside a selector of namespaces or accounts, all() means all that have one.
  const everything = isGiven(namespaceSelector)
    ? inNamespace
    : !isGiven(serviceAccountSelector) || hasAccount;
  return (
    selects(selector, labels, { all: everything }) &&
    selects(namespaceSelector, handedDown(labels, "pcns."), { all: inNamespace }) &&
    selects(serviceAccountSelector, handedDown(labels, "pcsa."), { all: hasAccount })
  );
}

/** Whether a side of a rule selects by labels at all, besides its notSelector. */
export function isSelective(entity: EntityRule, namespace: string | undefined): boolean {
  const { names = [], selector } = entity.serviceAccounts ?? {};
  const wanted = [entity.selector, entity.namespaceSelector, selector].some(isGiven);
  if (wanted || names.length > 0) return true;
  return namespace !== undefined && isGiven(entity.notSelector);
}

/**
 * Whether a side of a rule means what has these labels, its notSelector left out. `namespace` is that
 * of a NetworkPolicy: without a selector of namespaces, its rules look no further.
 */
export function entitySelects(
  entity: EntityRule,
  namespace: string | undefined,
  labels: Labels,
): boolean {
  const { namespaceSelector, selector, serviceAccounts } = entity;
  const inNamespace = labels.has(namespaceLabel);
  const place = isGiven(namespaceSelector)
    ? selects(namespaceSelector, handedDown(labels, "pcns."), {
        all: inNamespace,
        global: !inNamespace,
      })
    : namespace === undefined || labels.get(namespaceLabel) === namespace;
  const { names = [], selector: accounts } = serviceAccounts ?? {};
  return (
    place &&
    selects(selector, labels) &&
    selects(accounts, handedDown(labels, "pcsa.")) &&
    (names.length === 0 || names.includes(labels.get(accountLabel) ?? ""))
  );
}

/** Whether the notSelector of a side keeps off what has these labels. */
export function entityExcludes(entity: EntityRule, labels: Labels): boolean {
  return isGiven(entity.notSelector) && selects(entity.notSelector, labels);
}

/** What `all()` and `global()` are worth here; true where they mean nothing special. */
interface Meaning {
  readonly all?: boolean;
  readonly global?: boolean;
}

/** An absent selector selects everything. */
function selects(
  text: string | undefined,
  labels: Pick<Labels, "get">,
  meaning: Meaning = {},
): boolean {
  if (!isGiven(text)) return true;
  const selector = mapLeaves(parsed(text), (leaf) => {
    if (leaf.kind !== "all" && leaf.kind !== "global") return leaf;
    return (meaning[leaf.kind] ?? true) ? all : not(all);
  });
  return evaluateSelector(selector, labels);
}

/** Labels of the endpoint's namespace ("pcns.") or account ("pcsa."), under their own names. */
function handedDown(labels: Labels, prefix: "pcns." | "pcsa."): Pick<Labels, "get"> {
  return { get: (label) => labels.get(prefix + label) };
}

/** Rules are looked at again and again: the last ones stay parsed. */
const maxParsed = 10_000;
const known = new Map<string, Selector>();

function parsed(text: string): Selector {
  const before = known.get(text);
  if (before !== undefined) return before;
  if (known.size >= maxParsed) known.clear();
  const selector = parseSelector(text);
  known.set(text, selector);
  return selector;
}

export function isGiven(text: string | undefined): text is string {
  return text !== undefined && text !== "";
}
