import type { ActivePolicy, ActiveProfile } from "../calc/updates.ts";
import { type Direction, kindOfShortKind } from "../rules/names.ts";
import { endOfTierPrefix, policyDenyPrefix, profileDenyPrefix } from "../rules/nflog.ts";

/** What let a packet die, by the prefix of the NFLOG rule that saw it (facts 4.7). */
export type DenialCause =
  /** `rule` counts from 0 in the policy's rules of the direction. */
  | {
      readonly by: "rule";
      readonly tier: string;
      readonly policy: string;
      readonly rule: number;
    }
  | { readonly by: "end of tier"; readonly tier: string }
  | { readonly by: "profile rule"; readonly profile: string; readonly rule: number }
  | { readonly by: "no profile" };

export interface KnownPolicies {
  readonly policies: ReadonlyMap<string, ActivePolicy>;
  readonly profiles: ReadonlyMap<string, ActiveProfile>;
}

/**
 * Undefined for a prefix that no rule of ours denies with: another program's, or of a policy that has
 * just gone.
 */
export function denialCause(
  prefix: string,
  known: KnownPolicies,
): { readonly direction: Direction; readonly cause: DenialCause } | undefined {
  const [, owner, letter, index = "", name] = /^D([PR])([IE])(\d*)(?:\|(.*))?$/s.exec(prefix) ?? [];
  if (owner === undefined) return undefined;
  const direction = letter === "I" ? "ingress" : "egress";
  const place = { prefix, direction, rule: Number(index) } as const;
  const cause =
    owner === "P"
      ? index === ""
        ? endOfTier(place, name, known)
        : policyRule(place, name, known)
      : index === ""
        ? ({ by: "no profile" } as const)
        : profileRule(place, name, known);
  return cause === undefined ? undefined : { direction, cause };
}

interface Place {
  readonly prefix: string;
  readonly direction: Direction;
  readonly rule: number;
}

function policyRule(
  { prefix, direction, rule }: Place,
  name: string | undefined,
  { policies }: KnownPolicies,
): DenialCause | undefined {
  const id = named(name, policies, prefix, (known) => policyDenyPrefix(direction, rule, known));
  const policy = policies.get(id ?? "");
  if (policy === undefined) return undefined;
  return { by: "rule", tier: policy.tier, policy: policyTitle(policy), rule };
}

function profileRule(
  { prefix, direction, rule }: Place,
  name: string | undefined,
  { profiles }: KnownPolicies,
): DenialCause | undefined {
  const prefixOf = (known: string) => profileDenyPrefix(direction, rule, known);
  const profile = named(name, profiles, prefix, prefixOf);
  return profile === undefined ? undefined : { by: "profile rule", profile, rule };
}

function endOfTier(
  { prefix, direction }: Place,
  name: string | undefined,
  { policies }: KnownPolicies,
): DenialCause | undefined {
  const tiers = new Map([...policies.values()].map(({ tier }) => [tier, true]));
  const tier = named(name, tiers, prefix, (known) => endOfTierPrefix(direction, known));
  return tier === undefined ? undefined : { by: "end of tier", tier };
}

/** "NetworkPolicy shop/web": as the comment of its chain calls it. */
export function policyTitle({ shortKind, namespace, name }: ActivePolicy): string {
  return `${kindOfShortKind[shortKind]} ${namespace === undefined ? name : `${namespace}/${name}`}`;
}

/** Of a long name the prefix has only the ends and a hash. */
const keptCharacters = 10;

function named(
  name: string | undefined,
  known: ReadonlyMap<string, unknown>,
  prefix: string,
  prefixOf: (name: string) => string,
): string | undefined {
  if (name !== undefined && prefixOf(name) === prefix && known.has(name)) return name;
  const end = prefix.slice(-keptCharacters);
  // Hashing is dear where there are many policies: few end alike.
  for (const one of known.keys()) if (one.endsWith(end) && prefixOf(one) === prefix) return one;
  return undefined;
}
