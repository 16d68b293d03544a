import { isDeepStrictEqual } from "node:util";
import { CodedError, errorMessage } from "../../lib/errors.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { ExecHelper, ExecResult } from "../exec-helper.ts";
import type { IptablesBackend } from "./backend.ts";
import { insertsInPlace, programOf } from "./backend.ts";
import { DesiredRules } from "./desired-rules.ts";
import type { Chain, Rule, TableName } from "./model.ts";
import { parseSave, type SavedTable } from "./parse-save.ts";
import { RememberedTable } from "./remembered-table.ts";
import { renderChain, renderRules } from "./rendered-chain.ts";
import { TableMemory } from "./table-memory.ts";
import {
  differenceIn,
  differenceOf,
  type InsertMode,
  isEmptyPlan,
  type PlanInput,
  planOf,
  restoreTexts,
  type TableDifference,
  type TablePlan,
} from "./table-plan.ts";

export type IptablesFailure =
  | { readonly code: "save-failed"; readonly table: TableName; readonly family: IpFamily }
  | { readonly code: "restore-failed"; readonly table: TableName; readonly family: IpFamily };

/** The kernel's table is as before, or partly as desired: ask again later. */
export class IptablesError extends CodedError<IptablesFailure> {
  override readonly name = "IptablesError";
}

export interface TableConfig {
  readonly table: TableName;
  readonly family: IpFamily;
  readonly backend: IptablesBackend;
  readonly insertMode?: InsertMode;
  /** How often iptables-restore looks whether the lock is free. Default 50. */
  readonly lockProbeMs?: number;
}

/** Two other writers in a row may spoil our plan before we give up for this time. */
const maxAttempts = 3;
const lockWaitSeconds = 10;
const defaultLockProbeMs = 50;

/**
 * Our part of one table of one family (facts 4.17). Desired rules are set at any time, and checked
 * then; nothing reaches the kernel before `apply`. Calls of plan, check and apply queue up.
 */
export class IptablesTable {
  readonly table: TableName;
  readonly family: IpFamily;
  readonly #config: TableConfig;
  readonly #inPlace: boolean;
  readonly #exec: Pick<ExecHelper, "run">;
  readonly #memory: TableMemory;
  readonly #remembered: RememberedTable;
  readonly #desired: DesiredRules;
  #ahead: Promise<SavedTable> | undefined;
  #dirty = true;
  #writes = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** `memory`: that of all tables of this namespace. Without it the kernel is read each time. */
  constructor(
    config: TableConfig,
    dependencies: { readonly exec: Pick<ExecHelper, "run">; readonly memory?: TableMemory },
  ) {
    this.table = config.table;
    this.family = config.family;
    this.#config = config;
    this.#inPlace = insertsInPlace(config.backend);
    this.#exec = dependencies.exec;
    this.#memory = dependencies.memory ?? new TableMemory();
    this.#remembered = new RememberedTable(this.#memory);
    const { features } = config.backend;
    this.#desired = new DesiredRules((name) =>
      renderChain(missingChain(config.table, name), features),
    );
  }

  /** False when the kernel was as desired when we last looked. */
  get dirty(): boolean {
    return this.#dirty;
  }

  /** How many chains and rules of ours are, or will be, in the kernel. */
  get size(): { readonly chains: number; readonly rules: number } {
    return this.#desired.size;
  }

  /** How often we have written to the kernel. */
  get writes(): number {
    return this.#writes;
  }

  /**
   * Adds chains or replaces those of the same name. All or none.
   *
   * @throws {InputError} when one of them cannot be written.
   */
  setChains(chains: Iterable<Chain>): void {
    const rendered = Array.from(chains, (chain) =>
      renderChain(chain, this.#config.backend.features),
    );
    for (const chain of rendered) if (this.#desired.setChain(chain)) this.#dirty = true;
  }

  removeChains(names: Iterable<string>): void {
    for (const name of names) if (this.#desired.removeChain(name)) this.#dirty = true;
  }

  /** Our rules at the head of a kernel chain (at its end in append mode). Replaces earlier ones. */
  setInsertions(kernelChain: string, rules: readonly Rule[]): void {
    this.#setRun("insertions", kernelChain, rules);
  }

  /** Our rules behind all others of a kernel chain. Replaces earlier ones. */
  setAppends(kernelChain: string, rules: readonly Rule[]): void {
    this.#setRun("appends", kernelChain, rules);
  }

  /** Makes the next `apply` look at the kernel again. */
  invalidate(): void {
    this.#dirty = true;
    this.#remembered.forget();
  }

  /** Kernel names of the IP sets that programmed rules match on: only these need to exist. */
  neededSets(): ReadonlySet<string> {
    return this.#desired.neededSets;
  }

  /** Reads the kernel and says what `apply` would do. Writes nothing. */
  plan(): Promise<TablePlan> {
    return this.#exclusive(async () => planOf(this.#difference(await this.#read())));
  }

  /**
   * False, and dirty from now on, when the kernel is not as desired. Writes nothing, and reads nothing
   * when only we have written since we last knew.
   */
  check(): Promise<boolean> {
    return this.#memory.round(() =>
      this.#exclusive(async () => {
        // Of a round that ended before its apply: old by now.
        this.#ahead = undefined;
        const plan = planOf(await this.#look());
        if (!isEmptyPlan(plan)) {
          this.#dirty = true;
          this.#desired.compareAll();
        }
        return isEmptyPlan(plan);
      }),
    );
  }

  /** Begins to read the kernel for an `apply` of the same round, if it will need that. */
  readAhead(): void {
    if (!this.#dirty || this.#remembered.table !== undefined) return;
    this.#ahead = this.#exclusive(() => this.#read());
    this.#ahead.catch(() => undefined);
  }

  /**
   * Makes the kernel as desired, when dirty: reads, plans, writes what differs. Resolves with what
   * was done, undefined when nothing was.
   *
   * @throws {IptablesError} when a tool fails; the table stays dirty.
   */
  apply(): Promise<TablePlan | undefined> {
    return this.#exclusive(async () => {
      if (!this.#dirty) return undefined;
      // Cleared first: what is set while the tools run makes it dirty again.
      this.#dirty = false;
      try {
        const plan = await this.#converge();
        return isEmptyPlan(plan) ? undefined : plan;
      } catch (error) {
        this.#dirty = true;
        this.#desired.compareAll();
        throw error;
      }
    });
  }

  /**
   * Another writer may come between read and write. The same failure twice is not that; but it may be
   * that of a chain which the kernel does not let go, so that is tried apart.
   */
  async #converge(): Promise<TablePlan> {
    let difference = await this.#look();
    for (let attempt = 1; ; attempt++) {
      const plan = planOf(difference);
      const apart = attempt > 1;
      try {
        await this.#write(plan, apart);
        this.#remembered.learn(difference);
        return plan;
      } catch (error) {
        this.#remembered.forget();
        this.#desired.compareAll();
        difference = await this.#look();
        const same = isDeepStrictEqual(planOf(difference), plan);
        const joined = !apart && plan.write.length > 0 && plan.remove.length > 0;
        if (attempt >= maxAttempts || (same && !joined)) throw error;
      }
    }
  }

  /** What is to do, by what is remembered, or else by what the kernel says. */
  async #look(): Promise<TableDifference> {
    const known = this.#remembered.table;
    const changed = this.#desired.takeChanged();
    if (known !== undefined && changed !== undefined) {
      return differenceIn(changed, { table: this.table, ...this.#planInput(known) });
    }
    if (known !== undefined) return this.#difference(known);
    const ahead = this.#ahead;
    this.#ahead = undefined;
    const actual = await (ahead ?? this.#read());
    this.#remembered.remember(actual);
    return this.#difference(actual);
  }

  #difference(actual: SavedTable): TableDifference {
    return differenceOf(this.table, this.#planInput(actual));
  }

  #planInput(actual: SavedTable): PlanInput {
    const { insertMode = "insert" } = this.#config;
    return { desired: this.#desired, actual, insertMode, inPlace: this.#inPlace };
  }

  async #read(): Promise<SavedTable> {
    const program = programOf(this.#config.backend, this.family, "save");
    const detail = { code: "save-failed", table: this.table, family: this.family } as const;
    const what = `Cannot read IPv${this.family} table ${this.table}`;
    const result = await this.#exec.run(program, ["-t", this.table]).catch((cause: unknown) => {
      throw new IptablesError(`${what}: ${errorMessage(cause)}`, detail, { cause });
    });
    if (result.code !== 0) throw new IptablesError(`${what}: ${complaint(result)}`, detail);
    try {
      return parseSave(result.stdout, this.table);
    } catch (cause) {
      throw new IptablesError(`${what}: ${errorMessage(cause)}`, detail, { cause });
    }
  }

  async #write(plan: TablePlan, apart: boolean): Promise<void> {
    const { backend, lockProbeMs = defaultLockProbeMs } = this.#config;
    const program = programOf(backend, this.family, "restore");
    const args = ["--noflush"];
    if (backend.features.restoreWait) {
      const probe = `${Math.round(lockProbeMs * 1000)}`;
      args.push("--wait", `${lockWaitSeconds}`, "--wait-interval", probe);
    }
    for (const stdin of restoreTexts(plan, apart)) {
      const detail = { code: "restore-failed", table: this.table, family: this.family } as const;
      const what = `Cannot write IPv${this.family} table ${this.table}`;
      const result = await this.#exec.run(program, args, { stdin }).catch((cause: unknown) => {
        throw new IptablesError(`${what}: ${errorMessage(cause)}`, detail, { cause });
      });
      if (result.code !== 0)
        throw new IptablesError(`${what}: ${complaint(result, stdin)}`, detail);
      this.#memory.committed();
      this.#writes++;
    }
  }

  #setRun(place: "insertions" | "appends", chain: string, rules: readonly Rule[]): void {
    const { features } = this.#config.backend;
    const rendered = renderRules(chain, rules, features, { appended: place === "appends" });
    if (this.#desired.setRun(place, chain, rendered)) this.#dirty = true;
  }

  #exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** Policy that is referred to and not there fails closed; only the filter table decides. */
function missingChain(table: TableName, name: string): Chain {
  if (table !== "filter") return { name, rules: [] };
  return { name, rules: [{ match: [], action: { kind: "drop" }, comments: ["Missing chain"] }] };
}

/** What the tool said, and the line of our text that it said it of. */
function complaint(result: ExecResult, stdin?: string): string {
  const said = result.stderr.trim().slice(0, 500) || `exit code ${result.code}`;
  const number = /line:? (\d+)/i.exec(result.stderr)?.[1];
  const line = number === undefined ? undefined : stdin?.split("\n")[Number(number) - 1];
  return line === undefined ? said : `${said} (${line.slice(0, 500)})`;
}
