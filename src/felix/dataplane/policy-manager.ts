import type { Chain } from "../../kernel/iptables/model.ts";
import { InputError } from "../../lib/errors.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { ActivePolicy, ActiveProfile, DataplaneUpdate } from "../calc/updates.ts";
import { policyChains, profileChains } from "../rules/policy-chains.ts";
import type { RulesConfig } from "../rules/rules-config.ts";

/** Active policies and profiles, to their chains. */
export class PolicyManager {
  readonly #policies = new Map<string, ActivePolicy>();
  readonly #profiles = new Map<string, ActiveProfile>();

  get policies(): ReadonlyMap<string, ActivePolicy> {
    return this.#policies;
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind === "policy") {
      if (update.op === "set") this.#policies.set(update.id, update.value);
      else this.#policies.delete(update.id);
    } else if (update.kind === "profile") {
      if (update.op === "set") this.#profiles.set(update.id, update.value);
      else this.#profiles.delete(update.id);
    }
  }

  /**
   * Chains of one family. One that cannot be rendered is left out and told: what jumps to it then
   * drops.
   */
  chains(
    config: RulesConfig,
    family: IpFamily,
    onRefused: (id: string, error: InputError) => void,
  ): Chain[] {
    const context = { config, family };
    const chains: Chain[] = [];
    const add = (id: string, render: () => Chain[]) => {
      try {
        chains.push(...render());
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        onRefused(id, error);
      }
    };
    for (const [id, policy] of this.#policies) add(id, () => policyChains(id, policy, context));
    for (const [id, profile] of this.#profiles) add(id, () => profileChains(id, profile, context));
    return chains;
  }
}
