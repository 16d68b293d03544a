import type { Chain, Rule } from "../../../../src/kernel/iptables/model.ts";
import { renderRule } from "../../../../src/kernel/iptables/render.ts";

const features = { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true };

/** Rules as iptables text, without their hashes. */
export function show(rules: readonly Rule[]): string[] {
  return rules.map((rule) => renderRule(rule, "", features).trim());
}

/** Rules of the chain of that name. */
export function showChain(chains: readonly Chain[], name: string): string[] {
  const found = chains.filter((chain) => chain.name === name);
  if (found.length !== 1) {
    throw new Error(`${found.length} chains ${name} in ${chains.map((chain) => chain.name)}`);
  }
  return show(found[0]?.rules ?? []);
}
