import { type Chain, type Rule, setsOf, targetOf } from "./model.ts";
import {
  checkedChainName,
  hashComment,
  hashPlaceholder,
  type IptablesFeatures,
  renderRule,
} from "./render.ts";
import { ruleHashes } from "./rule-hash.ts";

/** A run of rules as it goes to iptables and as it is recognised there. */
export interface RenderedRules {
  /** One for each rule, in order. */
  readonly hashes: readonly string[];
  /** What follows "-A chain ", with the hash comment, one for each rule. */
  readonly bodies: readonly string[];
  /** Chains that the rules jump or go to. */
  readonly targets: ReadonlySet<string>;
  /** Kernel names of the IP sets that the rules match on. */
  readonly sets: ReadonlySet<string>;
}

export interface RenderedChain extends RenderedRules {
  readonly name: string;
}

/** Calico hashes appended rules under this name, so that they never equal inserted ones. */
const appendsSuffix = "*appends*";

export const noRules: RenderedRules = {
  hashes: [],
  bodies: [],
  targets: new Set(),
  sets: new Set(),
};

/** By the very chain: most are the same for IPv4 and IPv6, which then share their text, too. */
const rendered = new WeakMap<Chain, { readonly features: IptablesFeatures; run: RenderedChain }>();

/** @throws {InputError} naming the chain and what of it cannot be written. */
export function renderChain(chain: Chain, features: IptablesFeatures): RenderedChain {
  const known = rendered.get(chain);
  if (known?.features === features) return known.run;
  const name = checkedChainName(chain.name);
  const run = { name, ...renderRules(name, chain.rules, features, chain) };
  rendered.set(chain, { features, run });
  return run;
}

/** `appended`: rules that go behind all others of a kernel chain, not to its head. */
export function renderRules(
  chain: string,
  rules: readonly Rule[],
  features: IptablesFeatures,
  { appended = false, separate = false }: { appended?: boolean; separate?: boolean } = {},
): RenderedRules {
  const hashName = appended ? `${chain}${appendsSuffix}` : chain;
  const texts = rules.map((rule) => renderRule(rule, hashPlaceholder, features));
  const hashes = ruleHashes(
    hashName,
    texts.map((text) => `-A ${hashName} ${text}`),
    separate,
  );
  return {
    hashes,
    bodies: texts.map(
      (text, i) => hashComment(hashes[i] ?? "") + text.slice(hashPlaceholder.length),
    ),
    targets: new Set(rules.map(targetOf).filter((target) => target !== undefined)),
    sets: setsOf(rules),
  };
}
