import { policyIdentity } from "../api/policy-identity.ts";
import type { Profile } from "../api/resources/policy.ts";
import type { Rule } from "../api/resources/rule.ts";
import type { Policy, PolicyCluster } from "./cluster.ts";
import { objectName } from "./object-name.ts";
import type { Packet } from "./packet.ts";
import type { Labelled, Population } from "./population.ts";
import { matchRule, type RuleMatch } from "./rule-match.ts";
import { type AppliedTier, tiersOf } from "./tiers.ts";
import { unreadable } from "./unreadable-rule.ts";
import type {
  Check,
  Decision,
  Direction,
  PolicyStep,
  RuleStep,
  Stage,
  TierStep,
} from "./verdict.ts";

/** What the policies of one endpoint say of a packet. */
export interface CheckInput {
  readonly endpoint: Labelled;
  readonly direction: Direction;
  readonly stage: Stage;
  readonly packet: Packet;
}

type Outcome = Pick<Check, "outcome" | "decision">;
type Ended = { readonly step: PolicyStep; readonly hit?: { index: number; rule: Rule } };

/** Asks the policies of an endpoint, and after normal ones its profiles (facts 4.2, 4.6). */
export class EndpointChecker {
  readonly #cluster: PolicyCluster;
  readonly #population: Population;
  readonly #tiers = new Map<string, readonly AppliedTier[]>();
  readonly #profiles: ReadonlyMap<string, Profile>;
  readonly #unreadable = new Map<Rule, string | undefined>();

  constructor(cluster: PolicyCluster, population: Population) {
    this.#cluster = cluster;
    this.#profiles = new Map(cluster.profiles.map((one) => [one.metadata.name, one]));
    this.#population = population;
  }

  check(input: CheckInput): Check {
    const tiers: TierStep[] = [];
    const profiles: PolicyStep[] = [];
    const outcome = this.#outcome(input, tiers, profiles);
    return { ...describe(input), tiers, profiles, ...outcome };
  }

  /** Policies of an endpoint, in the order in which they are asked. */
  tiersOf(endpoint: Labelled, direction: Direction, stage: Stage): readonly AppliedTier[] {
    const { kind, metadata } = endpoint.resource;
    const key = `${kind}/${metadata.namespace ?? ""}/${metadata.name} ${direction} ${stage}`;
    const known = this.#tiers.get(key);
    if (known !== undefined) return known;
    const tiers = tiersOf(endpoint, { direction, stage }, this.#cluster);
    this.#tiers.set(key, tiers);
    return tiers;
  }

  #outcome(input: CheckInput, tiers: TierStep[], profiles: PolicyStep[]): Outcome {
    const { endpoint, direction, stage } = input;
    for (const tier of this.tiersOf(endpoint, direction, stage)) {
      const outcome = this.#askTier(tier, input, tiers);
      if (outcome !== undefined) return outcome;
    }
    if (stage === "normal") return this.#askProfiles(input, profiles);
    return { outcome: "continue", decision: { kind: "nobody has a say" } };
  }

  /** Undefined when the next tier is asked. */
  #askTier(tier: AppliedTier, input: CheckInput, steps: TierStep[]): Outcome | undefined {
    const { direction, stage } = input;
    const policies: PolicyStep[] = [];
    const end = (outcome: TierStep["outcome"]) =>
      steps.push({ tier: tier.name, policies, outcome });
    for (const policy of tier.policies) {
      const { step, hit } = this.#askPolicy(policy, input);
      policies.push(step);
      if (hit === undefined) continue;
      const { index, rule } = hit;
      if (rule.action === "Pass") {
        end("pass");
        return undefined;
      }
      const outcome = rule.action === "Allow" ? "allow" : "deny";
      end(outcome);
      const { policy: name, id } = step;
      return {
        outcome,
        decision: { kind: "rule", direction, tier: tier.name, policy: name, id, index, rule },
      };
    }
    const denies = tier.defaultAction !== "Pass" && (stage === "normal" || stage === "forward");
    end(denies ? "end: deny" : "end: pass");
    if (!denies) return undefined;
    return { outcome: "deny", decision: { kind: "end of tier", direction, tier: tier.name } };
  }

  #askPolicy(policy: Policy, input: CheckInput): Ended {
    const { namespace = "default" } = policy.metadata;
    const rules = (input.direction === "Ingress" ? policy.spec.ingress : policy.spec.egress) ?? [];
    const { steps, hit } = this.#askRules(rules, input.packet, {
      namespace: policy.kind === "NetworkPolicy" ? namespace : undefined,
    });
    const step = {
      policy: objectName(policy),
      id: policyIdentity(policy).id,
      selector: policy.spec.selector ?? "all()",
      rules: steps,
    };
    return hit === undefined ? { step } : { step, hit };
  }

  /** The first profile that decides does; one that is not there lets nothing through. */
  #askProfiles({ endpoint, direction, packet }: CheckInput, steps: PolicyStep[]): Outcome {
    const { resource } = endpoint;
    for (const name of ("profiles" in resource.spec ? resource.spec.profiles : undefined) ?? []) {
      const policy = { kind: "Profile", name };
      const profile = this.#profiles.get(name);
      if (profile === undefined) {
        return { outcome: "deny", decision: { kind: "missing profile", direction, policy } };
      }
      const { rules, hit } = this.#askProfile(profile, direction, packet);
      steps.push({ policy, id: name, rules });
      // There is no next tier for a profile to pass to.
      if (hit === undefined || hit.rule.action === "Pass") continue;
      const outcome = hit.rule.action === "Allow" ? "allow" : "deny";
      return { outcome, decision: { kind: "profile", direction, policy, ...hit } };
    }
    return { outcome: "deny", decision: { kind: "no profile matched", direction } };
  }

  #askProfile(profile: Profile, direction: Direction, packet: Packet) {
    const given = (direction === "Ingress" ? profile.spec.ingress : profile.spec.egress) ?? [];
    const { steps, hit } = this.#askRules(given, packet, { namespace: undefined });
    return hit === undefined ? { rules: steps } : { rules: steps, hit };
  }

  /** Up to the first rule that matches and is not there to log only. */
  #askRules(
    rules: readonly Rule[],
    packet: Packet,
    { namespace }: { readonly namespace: string | undefined },
  ) {
    const steps: RuleStep[] = [];
    for (const [index, rule] of rules.entries()) {
      const match = this.#matchRule(rule, packet, namespace);
      const { action } = match;
      steps.push({
        index,
        action,
        ...(match.matches ? { selectors: match.selectors } : { mismatch: match.why }),
      });
      if (!match.matches || action === "Log") continue;
      return { steps, hit: { index, rule: { ...rule, action } } };
    }
    return { steps };
  }

  /** A rule that cannot be understood fails closed: it allows nothing, or denies everything. */
  #matchRule(
    rule: Rule,
    packet: Packet,
    namespace: string | undefined,
  ): RuleMatch & { readonly action: Rule["action"] } {
    if (!this.#unreadable.has(rule)) this.#unreadable.set(rule, unreadable(rule, namespace));
    const problem = this.#unreadable.get(rule);
    if (problem === undefined) {
      const { endpointSlices } = this.#cluster;
      const population = this.#population;
      const match = matchRule(rule, { packet, population, endpointSlices, namespace });
      return { ...match, action: rule.action };
    }
    return rule.action === "Allow" || rule.action === "Log"
      ? { matches: false, why: problem, action: rule.action }
      : { matches: true, selectors: [], action: "Deny" };
  }
}

/** Who is asked, and for what. */
export function describe({
  endpoint: { resource },
  direction,
  stage,
}: Omit<CheckInput, "packet">): Pick<Check, "endpoint" | "node" | "direction" | "stage"> {
  const node = "node" in resource.spec ? resource.spec.node : "";
  return { endpoint: objectName(resource), node, direction, stage };
}

export const nobody: Decision = { kind: "nobody has a say" };
