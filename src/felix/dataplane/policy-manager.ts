import type { Chain } from "../../kernel/iptables/model.ts";
import { InputError } from "../../lib/errors.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { ActivePolicy, ActiveProfile, DataplaneUpdate } from "../calc/updates.ts";
import { policyChains, profileChains } from "../rules/policy-chains.ts";
import type { RulesConfig } from "../rules/rules-config.ts";

/** Chains of a policy or profile, as long as it and the configuration stay the same. */
interface Rendered {
  readonly value: ActivePolicy | ActiveProfile;
  readonly config: RulesConfig;
  readonly chains: readonly Chain[];
}

/** Active policies and profiles, to their chains: unchanged ones give the very same objects again. */
export class PolicyManager {
  readonly #policies = new Map<string, ActivePolicy>();
  readonly #profiles = new Map<string, ActiveProfile>();
  readonly #rendered: Readonly<Record<IpFamily, Map<string, Rendered>>> = {
    4: new Map(),
    6: new Map(),
  };
  #selectors = 0;

  get policies(): ReadonlyMap<string, ActivePolicy> {
    return this.#policies;
  }

  get profiles(): ReadonlyMap<string, ActiveProfile> {
    return this.#profiles;
  }

  /** Another number whenever policies may group otherwise than before. */
  get groupingVersion(): number {
    return this.#selectors;
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind === "policy") {
      const selector = update.op === "set" ? update.value.selector : undefined;
      if (this.#policies.get(update.id)?.selector !== selector) this.#selectors++;
      if (update.op === "set") this.#policies.set(update.id, update.value);
      else this.#policies.delete(update.id);
    } else if (update.kind === "profile") {
      if (update.op === "set") this.#profiles.set(update.id, update.value);
      else this.#profiles.delete(update.id);
    }
  }

  /**
   * Chains of one family for the filter table. One that cannot be rendered is left out and told: what
   * jumps to it then drops.
   */
  chains(config: RulesConfig, family: IpFamily, onRefused: OnRefused): Chain[] {
    const context = { config, family };
    const before = new Map(this.#rendered[family]);
    const rendered = this.#rendered[family];
    rendered.clear();
    const add = (id: string, value: Rendered["value"], render: () => Chain[]) => {
      const known = before.get(id);
      const same = known?.value === value && known.config === config;
      rendered.set(id, same ? known : { value, config, chains: orRefused(id, render, onRefused) });
    };
    for (const [id, policy] of this.#policies) {
      add(`policy ${id}`, policy, () => policyChains(id, policy, context));
    }
    for (const [id, profile] of this.#profiles) {
      add(`profile ${id}`, profile, () => profileChains(id, profile, context));
    }
    return [...rendered.values()].flatMap(({ chains }) => chains);
  }

  /** Chains of some as another table has them, after `chains` of the family. */
  chainsOf(
    uses: { readonly policies: Iterable<string>; readonly profiles: Iterable<string> },
    config: RulesConfig,
    family: IpFamily,
  ): Chain[] {
    const context = { config, family };
    // What cannot be rendered was told by `chains`.
    const silent: OnRefused = () => undefined;
    const chains = (id: string, render: () => Chain[]) => {
      const known = this.#rendered[family].get(id);
      return known?.config === config ? known.chains : orRefused(id, render, silent);
    };
    return [
      ...[...uses.policies].flatMap((id) => {
        const policy = this.#policies.get(id);
        if (policy === undefined) return [];
        return chains(`policy ${id}`, () => policyChains(id, policy, context));
      }),
      ...[...uses.profiles].flatMap((id) => {
        const profile = this.#profiles.get(id);
        if (profile === undefined) return [];
        return chains(`profile ${id}`, () => profileChains(id, profile, context));
      }),
    ];
  }
}

type OnRefused = (id: string, error: InputError) => void;

function orRefused(id: string, render: () => Chain[], onRefused: OnRefused): Chain[] {
  try {
    return render();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    onRefused(id, error);
    return [];
  }
}
