import { CodedError, errorMessage } from "../../lib/errors.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { ExecHelper, ExecResult } from "../exec-helper.ts";
import type { IptablesBackend } from "./backend.ts";
import { programOf } from "./backend.ts";
import type { Chain, Rule, TableName } from "./model.ts";
import { parseSave, type SavedTable } from "./parse-save.ts";
import {
  type RenderedChain,
  type RenderedRules,
  renderChain,
  renderRules,
} from "./rendered-chain.ts";
import {
  type DesiredTable,
  type InsertMode,
  isEmptyPlan,
  planTable,
  reachableChains,
  restoreTexts,
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
  readonly #exec: Pick<ExecHelper, "run">;
  readonly #chains = new Map<string, RenderedChain>();
  readonly #insertions = new Map<string, RenderedRules>();
  readonly #appends = new Map<string, RenderedRules>();
  #dirty = true;
  #last: Promise<unknown> = Promise.resolve();

  constructor(config: TableConfig, dependencies: { readonly exec: Pick<ExecHelper, "run"> }) {
    this.table = config.table;
    this.family = config.family;
    this.#config = config;
    this.#exec = dependencies.exec;
  }

  /** False when the kernel was as desired when we last looked. */
  get dirty(): boolean {
    return this.#dirty;
  }

  /** How many chains and rules of ours are, or will be, in the kernel. */
  get size(): { readonly chains: number; readonly rules: number } {
    const desired = this.#desired();
    const chains = [...reachableChains(desired).values()];
    const rules = [...chains, ...desired.insertions.values(), ...desired.appends.values()];
    return { chains: chains.length, rules: rules.reduce((sum, run) => sum + run.hashes.length, 0) };
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
    for (const chain of rendered) {
      if (!sameRun(this.#chains.get(chain.name), chain)) this.#dirty = true;
      this.#chains.set(chain.name, chain);
    }
  }

  removeChains(names: Iterable<string>): void {
    for (const name of names) if (this.#chains.delete(name)) this.#dirty = true;
  }

  /** Our rules at the head of a kernel chain (at its end in append mode). Replaces earlier ones. */
  setInsertions(kernelChain: string, rules: readonly Rule[]): void {
    this.#setRun(this.#insertions, kernelChain, rules, false);
  }

  /** Our rules behind all others of a kernel chain. Replaces earlier ones. */
  setAppends(kernelChain: string, rules: readonly Rule[]): void {
    this.#setRun(this.#appends, kernelChain, rules, true);
  }

  /** Makes the next `apply` look at the kernel again. */
  invalidate(): void {
    this.#dirty = true;
  }

  /** Kernel names of the IP sets that programmed rules match on: only these need to exist. */
  neededSets(): Set<string> {
    const desired = this.#desired();
    const runs = [...reachableChains(desired).values(), ...desired.insertions.values()];
    return new Set([...runs, ...desired.appends.values()].flatMap((run) => [...run.sets]));
  }

  /** Reads the kernel and says what `apply` would do. Writes nothing. */
  plan(): Promise<TablePlan> {
    return this.#exclusive(() => this.#readAndPlan());
  }

  /** Reads the kernel; false, and dirty from now on, when it is not as desired. Writes nothing. */
  async check(): Promise<boolean> {
    const plan = await this.plan();
    if (!isEmptyPlan(plan)) this.#dirty = true;
    return isEmptyPlan(plan);
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
        throw error;
      }
    });
  }

  /** Another writer may come between read and write. The same failure twice is not that. */
  async #converge(): Promise<TablePlan> {
    let plan = await this.#readAndPlan();
    for (let attempt = 1; ; attempt++) {
      const text = restoreTexts(plan).join("");
      try {
        await this.#write(plan);
        return plan;
      } catch (error) {
        plan = await this.#readAndPlan();
        const again = restoreTexts(plan).join("");
        if (attempt >= maxAttempts || again === text) throw error;
      }
    }
  }

  async #readAndPlan(): Promise<TablePlan> {
    const actual = await this.#read();
    const insertMode = this.#config.insertMode ?? "insert";
    return planTable(this.table, { desired: this.#desired(), actual, insertMode });
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

  async #write(plan: TablePlan): Promise<void> {
    const { backend, lockProbeMs = defaultLockProbeMs } = this.#config;
    const program = programOf(backend, this.family, "restore");
    const args = ["--noflush"];
    if (backend.features.restoreWait) {
      const probe = `${Math.round(lockProbeMs * 1000)}`;
      args.push("--wait", `${lockWaitSeconds}`, "--wait-interval", probe);
    }
    for (const stdin of restoreTexts(plan)) {
      const detail = { code: "restore-failed", table: this.table, family: this.family } as const;
      const what = `Cannot write IPv${this.family} table ${this.table}`;
      const result = await this.#exec.run(program, args, { stdin }).catch((cause: unknown) => {
        throw new IptablesError(`${what}: ${errorMessage(cause)}`, detail, { cause });
      });
      if (result.code !== 0)
        throw new IptablesError(`${what}: ${complaint(result, stdin)}`, detail);
    }
  }

  #setRun(
    runs: Map<string, RenderedRules>,
    chain: string,
    rules: readonly Rule[],
    appended: boolean,
  ): void {
    const rendered = renderRules(chain, rules, this.#config.backend.features, appended);
    if (!sameRun(runs.get(chain), rendered)) this.#dirty = true;
    runs.set(chain, rendered);
  }

  #desired(): DesiredTable {
    return {
      chains: this.#chains,
      insertions: this.#insertions,
      appends: this.#appends,
      missing: (name) => renderChain(missingChain(this.table, name), this.#config.backend.features),
    };
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

/** The hash of a rule stands for all before it, so the last one stands for the run. */
function sameRun(a: RenderedRules | undefined, b: RenderedRules): boolean {
  return (
    a !== undefined && a.hashes.length === b.hashes.length && a.hashes.at(-1) === b.hashes.at(-1)
  );
}

/** What the tool said, and the line of our text that it said it of. */
function complaint(result: ExecResult, stdin?: string): string {
  const said = result.stderr.trim().slice(0, 500) || `exit code ${result.code}`;
  const number = /line:? (\d+)/i.exec(result.stderr)?.[1];
  const line = number === undefined ? undefined : stdin?.split("\n")[Number(number) - 1];
  return line === undefined ? said : `${said} (${line.slice(0, 500)})`;
}
