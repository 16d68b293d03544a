import { IpSets } from "../../kernel/ipset/ip-sets.ts";
import type { TableMemory } from "../../kernel/iptables/table-memory.ts";
import { ipSetPrefixes } from "../../kernel/ownership.ts";
import type { InputError } from "../../lib/errors.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { DataplaneUpdate } from "../calc/updates.ts";
import type { FelixConfig } from "../config/felix-config.ts";
import type { Refreshed } from "../refresh-timers.ts";
import type { RulesConfig } from "../rules/rules-config.ts";
import type { DataplanePorts } from "./dataplane.ts";
import { IpSetManager } from "./ip-set-manager.ts";
import { type RuleParts, RuleSet } from "./rule-set.ts";
import { RuleTables } from "./rule-tables.ts";

export type KernelSets = Pick<
  IpSets,
  "set" | "change" | "delete" | "apply" | "destroyUnused" | "resync" | "close" | "desiredNames"
>;

/** What there is once for IPv4 and once for IPv6: sets and rules. */
export class FamilyPart {
  readonly family: IpFamily;
  readonly setManager: IpSetManager;
  readonly rules: RuleTables;
  readonly #ruleSet: RuleSet;
  readonly #sets: KernelSets;
  #serviceCidrs: readonly Prefix[] = [];

  constructor(
    family: IpFamily,
    of: {
      readonly config: FelixConfig;
      readonly ports: DataplanePorts;
      readonly memory: TableMemory;
    },
  ) {
    const { config, ports, memory } = of;
    this.family = family;
    this.#ruleSet = new RuleSet(family);
    this.#sets = ports.openSets?.(family) ?? new IpSets(family, ipSetPrefixes[family]);
    this.setManager = new IpSetManager(family, this.#sets, config);
    this.rules = new RuleTables(
      {
        family,
        backend: ports.backend,
        insertMode: config.chainInsertMode,
        lockProbeMs: config.iptablesLockProbeMs,
      },
      { exec: ports.exec, memory },
    );
  }

  get setCount(): number {
    return this.#sets.desiredNames().length;
  }

  close(): void {
    this.#sets.close();
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind === "serviceCidrs") {
      this.#serviceCidrs = update.op === "set" ? update.value : [];
    }
    this.setManager.onUpdate(update);
  }

  resync(what?: ReadonlySet<Refreshed>): void {
    if (what?.has("ipSets") !== false) this.#sets.resync();
    if (what?.has("iptables") === false) return;
    for (const table of this.rules.tables) table.invalidate();
  }

  renderChains(
    parts: Omit<RuleParts, "natOutgoing" | "serviceCidrs">,
    rules: RulesConfig,
    onRefused: (id: string, error: InputError) => void,
  ): void {
    const { natOutgoing } = this.setManager;
    const own = { natOutgoing, serviceCidrs: this.#serviceCidrs };
    const chains = this.#ruleSet.chains({ ...parts, ...own }, rules, onRefused);
    this.rules.setAll(chains, rules, onRefused);
  }

  /** Creates and updates the sets that rules need, or will need. */
  async applySets(): Promise<void> {
    this.setManager.refreshStatic();
    await this.#sets.apply(this.rules.neededSets());
  }

  /** Rules that are refused may name a set that somebody destroyed: the next apply lists the sets again. */
  async applyRules(): Promise<void> {
    try {
      await this.rules.apply();
    } catch (error) {
      this.#sets.resync();
      throw error;
    }
  }

  /** After the rules: what they no longer use can go. */
  async destroyUnusedSets(): Promise<void> {
    const needed = this.rules.neededSets();
    for (let more = true; more; ) more = await this.#sets.destroyUnused(needed);
  }
}
