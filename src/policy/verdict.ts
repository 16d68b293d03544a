import type { Rule } from "../api/resources/rule.ts";

export type Direction = "Ingress" | "Egress";

/**
 * Which of an endpoint's policies are asked. A pod has only the normal ones. Those of a host endpoint
 * are asked in this order: untracked and preDNAT for all that comes, then normal for what ends on the
 * host or begins there, or forward for what passes through (facts 4.11).
 */
export type Stage = "untracked" | "preDNAT" | "normal" | "forward";

/** An object as its author calls it. */
export interface ObjectName {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

/** A field of a rule that selects by labels, and whom it found at the packet's address. */
export interface SelectorMatch {
  /** "source.selector". */
  readonly field: string;
  readonly selector: string;
  readonly matched: readonly ObjectName[];
}

/** One rule that was looked at. */
export interface RuleStep {
  readonly index: number;
  readonly action: Rule["action"];
  /** Why it does not match. Absent: it matches. */
  readonly mismatch?: string;
  readonly selectors?: readonly SelectorMatch[];
}

/** One policy or profile that was looked at, with its rules up to the one that ended it. */
export interface PolicyStep {
  readonly policy: ObjectName;
  /** Of a policy: "np/default/web", by which its chains are named. */
  readonly id: string;
  /** By which the policy applies to the endpoint; absent for a profile. */
  readonly selector?: string;
  readonly rules: readonly RuleStep[];
}

export interface TierStep {
  readonly tier: string;
  readonly policies: readonly PolicyStep[];
  readonly outcome: "allow" | "deny" | "pass" | "end: deny" | "end: pass";
}

/** What one endpoint said of the packet. */
export interface Check {
  readonly endpoint: ObjectName;
  readonly node: string;
  readonly direction: Direction;
  readonly stage: Stage;
  readonly tiers: readonly TierStep[];
  readonly profiles: readonly PolicyStep[];
  /** "continue": its policies say nothing against it. "final": nobody after it is asked on this host. */
  readonly outcome: "allow" | "deny" | "continue";
  readonly decision: Decision;
}

/** What decided. */
export type Decision =
  | {
      readonly kind: "rule";
      readonly direction: Direction;
      readonly tier: string;
      readonly policy: ObjectName;
      readonly id: string;
      readonly index: number;
      readonly rule: Rule;
    }
  | { readonly kind: "end of tier"; readonly direction: Direction; readonly tier: string }
  | {
      readonly kind: "profile";
      readonly direction: Direction;
      readonly policy: ObjectName;
      readonly index: number;
      readonly rule: Rule;
    }
  | { readonly kind: "missing profile"; readonly direction: Direction; readonly policy: ObjectName }
  | { readonly kind: "no profile matched"; readonly direction: Direction }
  | { readonly kind: "failsafe port"; readonly direction: Direction }
  | { readonly kind: "encapsulated" }
  | { readonly kind: "endpoint to host"; readonly action: "ACCEPT" | "DROP" | "RETURN" }
  | { readonly kind: "own node" }
  | { readonly kind: "nobody has a say" };

export interface Verdict {
  readonly allowed: boolean;
  /** The decision of the check that denied, else of the last one. */
  readonly decision: Decision;
  /** In the order in which the packet meets them; what a denied packet does not reach is not there. */
  readonly checks: readonly Check[];
  /** What the model cannot know. */
  readonly notes: readonly string[];
}

/** One line for people: "Ingress rule 0 of NetworkPolicy shop/web". */
export function decisionText(decision: Decision): string {
  switch (decision.kind) {
    case "rule":
      return `${decision.direction} rule ${decision.index} of ${nameText(decision.policy)}`;
    case "profile":
      return `${decision.direction} rule ${decision.index} of ${nameText(decision.policy)}`;
    case "end of tier":
      return `no ${decision.direction} rule of tier ${decision.tier} matched`;
    case "missing profile":
      return `${nameText(decision.policy)} is missing`;
    case "no profile matched":
      return `no ${decision.direction} rule of a profile matched`;
    case "failsafe port":
      return `${decision.direction} failsafe port of the host`;
    case "encapsulated":
      return "a workload may not send tunnel packets of its own";
    case "endpoint to host":
      return `defaultEndpointToHostAction is ${decision.action}`;
    case "own node":
      return "a node may always reach its own pods";
    default:
      return decision.kind;
  }
}

/** "NetworkPolicy shop/web". */
export function nameText({ kind, namespace, name }: ObjectName): string {
  return `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
}
