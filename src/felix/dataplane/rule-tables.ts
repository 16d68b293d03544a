import type { ExecHelper } from "../../kernel/exec-helper.ts";
import type { IptablesBackend } from "../../kernel/iptables/backend.ts";
import { type Chain, type TableName, tableNames } from "../../kernel/iptables/model.ts";
import type { TableMemory } from "../../kernel/iptables/table-memory.ts";
import { IptablesTable } from "../../kernel/iptables/tables.ts";
import { InputError } from "../../lib/errors.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { KeptValue } from "../../lib/kept-value.ts";
import type { RulesConfig } from "../rules/rules-config.ts";
import { kernelChainRules } from "../rules/static-chains.ts";

/** The four iptables tables of one family, told as a whole: what is not told is not wanted. */
export class RuleTables {
  readonly #tables: ReadonlyMap<TableName, IptablesTable>;
  readonly #told = new Map<TableName, readonly Chain[]>();
  readonly #neededSets = new KeptValue<ReadonlySet<string>>();
  #rules: RulesConfig | undefined;

  constructor(
    config: {
      readonly family: IpFamily;
      readonly backend: IptablesBackend;
      readonly insertMode: "insert" | "append";
      readonly lockProbeMs?: number;
    },
    ports: { readonly exec: ExecHelper; readonly memory?: TableMemory },
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

  /**
   * A chain that cannot be written is left out and told: what jumps to it then drops. Chains that are
   * the same objects as before cost nothing. Chains of one name have the same rules.
   */
  setAll(
    chains: Readonly<Record<TableName, readonly Chain[]>>,
    rules: RulesConfig,
    onRefused: (chain: string, error: InputError) => void,
  ): void {
    if (rules !== this.#rules) this.#setKernelRules(rules);
    for (const [name, table] of this.#tables) {
      const { changed, removed } = differences(this.#told.get(name) ?? [], chains[name]);
      for (const chain of changed) setChain(table, chain, onRefused);
      table.removeChains(removed);
      this.#told.set(name, chains[name]);
    }
  }

  #setKernelRules(rules: RulesConfig): void {
    for (const [name, table] of this.#tables) {
      const { insertions, appends } = kernelChainRules(name, rules);
      for (const [chain, list] of insertions) table.setInsertions(chain, list);
      for (const [chain, list] of appends) table.setAppends(chain, list);
    }
    this.#rules = rules;
  }

  /** Begins to read the tables of which nothing is known, for an `apply` of the same round. */
  readAhead(): void {
    for (const table of this.tables) table.readAhead();
  }

  /** Kernel names of the sets that rules use: they must exist before `apply`. */
  neededSets(): ReadonlySet<string> {
    const sets = this.tables.map((table) => table.neededSets());
    return this.#neededSets.of(sets, () => new Set(sets.flatMap((some) => [...some])));
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

interface Differences {
  readonly changed: Iterable<Chain>;
  readonly removed: readonly string[];
}

/** Most often the names are the same, in the same order: then no map of thousands is made. */
function differences(before: readonly Chain[], after: readonly Chain[]): Differences {
  const isSame = (chain: Chain, index: number) => chain.name === before[index]?.name;
  if (before.length === after.length && after.every(isSame)) {
    return { changed: after.filter((chain, index) => chain !== before[index]), removed: [] };
  }
  const known = new Map(before.map((chain) => [chain.name, chain]));
  const wanted = new Map(after.map((chain) => [chain.name, chain]));
  return {
    changed: wanted.values().filter((chain) => known.get(chain.name) !== chain),
    removed: [...known.keys()].filter((name) => !wanted.has(name)),
  };
}

function setChain(
  table: IptablesTable,
  chain: Chain,
  onRefused: (chain: string, error: InputError) => void,
): void {
  try {
    table.setChains([chain]);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    table.removeChains([chain.name]);
    onRefused(chain.name, error);
  }
}
