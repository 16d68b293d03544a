import type { Chain } from "../../kernel/iptables/model.ts";
import { InputError } from "../../lib/errors.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { ActivePolicy, ActiveProfile, DataplaneUpdate } from "../calc/updates.ts";
import { policyChains, profileChains } from "../rules/policy-chains.ts";
import type { RulesConfig } from "../rules/rules-config.ts";

/** Chains of a policy or profile, as long as the configuration stays the same. */
interface Rendered {
  readonly config: RulesConfig;
  readonly chains: readonly Chain[];
}

/** Active policies and profiles, to their chains: unchanged ones give the very same objects again. */
export class PolicyManager {
  readonly #policies = new Map<string, ActivePolicy>();
  readonly #profiles = new Map<string, ActiveProfile>();
  /** By the very policy or profile: another version of one is another object. */
  readonly #rendered: Readonly<Record<IpFamily, WeakMap<ActivePolicy | ActiveProfile, Rendered>>> =
    { 4: new WeakMap(), 6: new WeakMap() };
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
    return [
      ...this.#policies.entries().flatMap(([id, policy]) => {
        const render = () => policyChains(id, policy, context);
        return this.#kept(policy, context, () => orRefused(`policy ${id}`, render, onRefused));
      }),
      ...this.#profiles.entries().flatMap(([id, profile]) => {
        const render = () => profileChains(id, profile, context);
        return this.#kept(profile, context, () => orRefused(`profile ${id}`, render, onRefused));
      }),
    ];
  }

  #kept(
    value: ActivePolicy | ActiveProfile,
    { config, family }: { readonly config: RulesConfig; readonly family: IpFamily },
    render: () => Chain[],
  ): readonly Chain[] {
    const known = this.#rendered[family].get(value);
    if (known?.config === config) return known.chains;
    const chains = render();
    this.#rendered[family].set(value, { config, chains });
    return chains;
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
    const chains = (id: string, value: ActivePolicy | ActiveProfile, render: () => Chain[]) => {
      const known = this.#rendered[family].get(value);
      return known?.config === config ? known.chains : orRefused(id, render, silent);
    };
    return [
      ...[...uses.policies].flatMap((id) => {
        const policy = this.#policies.get(id);
        if (policy === undefined) return [];
        return chains(id, policy, () => policyChains(id, policy, context));
      }),
      ...[...uses.profiles].flatMap((id) => {
        const profile = this.#profiles.get(id);
        if (profile === undefined) return [];
        return chains(id, profile, () => profileChains(id, profile, context));
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
