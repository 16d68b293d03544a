import type { ExecHelper } from "../../kernel/exec-helper.ts";
import type { IptablesBackend } from "../../kernel/iptables/backend.ts";
import { type Chain, type TableName, tableNames } from "../../kernel/iptables/model.ts";
import { IptablesTable } from "../../kernel/iptables/tables.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { RulesConfig } from "../rules/rules-config.ts";
import { kernelChainRules } from "../rules/static-chains.ts";

/** The four iptables tables of one family, told as a whole: what is not told is not wanted. */
export class RuleTables {
  readonly #tables: ReadonlyMap<TableName, IptablesTable>;
  readonly #told = new Map<TableName, ReadonlySet<string>>();

  constructor(
    config: {
      readonly family: IpFamily;
      readonly backend: IptablesBackend;
      readonly insertMode: "insert" | "append";
    },
    ports: { readonly exec: ExecHelper },
  ) {
    this.#tables = new Map(
      tableNames.map((table) => [table, new IptablesTable({ ...config, table }, ports)]),
    );
  }

  get tables(): readonly IptablesTable[] {
    return [...this.#tables.values()];
  }

  get dirty(): boolean {
    return this.tables.some(({ dirty }) => dirty);
  }

  setAll(chains: Readonly<Record<TableName, readonly Chain[]>>, rules: RulesConfig): void {
    for (const [name, table] of this.#tables) {
      const { insertions, appends } = kernelChainRules(name, rules);
      for (const [chain, list] of insertions) table.setInsertions(chain, list);
      for (const [chain, list] of appends) table.setAppends(chain, list);
      const wanted = new Set(chains[name].map((chain) => chain.name));
      table.setChains(chains[name]);
      table.removeChains([...(this.#told.get(name) ?? [])].filter((chain) => !wanted.has(chain)));
      this.#told.set(name, wanted);
    }
  }

  /** Kernel names of the sets that rules use: they must exist before `apply`. */
  neededSets(): Set<string> {
    return new Set(this.tables.flatMap((table) => [...table.neededSets()]));
  }

  /** Tables that fail stay dirty; the others are applied all the same. */
  async apply(): Promise<void> {
    const dirty = this.tables.filter((table) => table.dirty);
    const results = await Promise.allSettled(dirty.map((table) => table.apply()));
    const errors = results.flatMap((result) =>
      result.status === "rejected" ? [result.reason] : [],
    );
    if (errors.length > 0) throw new AggregateError(errors, "Cannot write iptables rules");
  }
}
