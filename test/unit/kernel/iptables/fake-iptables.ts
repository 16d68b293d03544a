import type { ExecResult } from "../../../../src/kernel/exec-helper.ts";
import type { TableName } from "../../../../src/kernel/iptables/model.ts";
import { getOrCreate } from "../../../../src/lib/collections.ts";

/** One table of a pretended kernel that understands what restore and save say to each other. */
export class FakeIptables {
  readonly table: TableName;
  readonly calls: string[] = [];
  /** How many transactions were carried out. */
  generation = 0;
  #chains = new Map<string, string[]>();
  /** Chains that something holds which no save shows. */
  readonly #held = new Set<string>();
  #nextFailure: string | undefined;
  #beforeRestore: (() => void) | undefined;

  constructor(table: TableName, kernelChains: readonly string[]) {
    this.table = table;
    for (const chain of kernelChains) this.#chains.set(chain, []);
  }

  failNext(stderr: string): void {
    this.#nextFailure = stderr;
  }

  /** From now on the chain cannot be deleted, and nobody sees why. */
  hold(chain: string): void {
    this.#held.add(chain);
  }

  /** Somebody else writes between our save and our restore. */
  beforeNextRestore(meddle: () => void): void {
    this.#beforeRestore = meddle;
  }

  rules(chain: string): readonly string[] | undefined {
    return this.#chains.get(chain);
  }

  /** A transaction: all lines or none. @throws as the tool complains. */
  restore(lines: readonly string[]): void {
    const chains = new Map([...this.#chains].map(([name, rules]) => [name, [...rules]]));
    lines.forEach((line, i) => {
      const isHeld = line.startsWith("-X ") && this.#held.has(line.slice(3));
      if (isHeld || !apply(line, chains)) throw new Error(`Error occurred at line: ${i + 1}`);
    });
    this.#chains = chains;
    this.generation++;
  }

  save(): string {
    const names = [...this.#chains.keys()].map((name) => `:${name} - [0:0]`);
    const rules = [...this.#chains].flatMap(([name, bodies]) =>
      bodies.map((body) => `-A ${name} ${body}`),
    );
    return `*${this.table}\n${[...names, ...rules].join("\n")}\nCOMMIT\n`;
  }

  async run(
    program: string,
    _args: readonly string[],
    { stdin = "" }: { readonly stdin?: string } = {},
  ): Promise<ExecResult> {
    this.calls.push(program);
    const failure = this.#nextFailure;
    this.#nextFailure = undefined;
    if (failure !== undefined) return { code: 1, stdout: "", stderr: failure };
    if (program.endsWith("save")) return { code: 0, stdout: this.save(), stderr: "" };
    this.#beforeRestore?.();
    this.#beforeRestore = undefined;
    try {
      this.restore(stdin.trimEnd().split("\n"));
      return { code: 0, stdout: "", stderr: "" };
    } catch (error) {
      return { code: 1, stdout: "", stderr: String(error) };
    }
  }
}

function apply(line: string, chains: Map<string, string[]>): boolean {
  if (line.startsWith("*") || line === "COMMIT") return true;
  if (line.startsWith(":")) {
    getOrCreate(chains, line.slice(1, line.indexOf(" ")), () => []).length = 0;
    return true;
  }
  const [command = "", name = "", ...words] = line.split(" ");
  const rules = chains.get(name);
  const number = /^\d+$/.test(words[0] ?? "") ? Number(words.shift()) : 1;
  const body = words.join(" ");
  if (rules === undefined || number > rules.length + 1) return false;
  if (command === "-A") rules.push(body);
  else if (command === "-I") rules.splice(number - 1, 0, body);
  else if (command === "-D" && rules.includes(body)) rules.splice(rules.indexOf(body), 1);
  else if (command === "-X" && rules.length === 0 && !isReferenced(name, chains))
    chains.delete(name);
  else return false;
  return true;
}

function isReferenced(name: string, chains: ReadonlyMap<string, readonly string[]>): boolean {
  const jump = new RegExp(`--(?:jump|goto) ${name}$`);
  return [...chains.values()].some((rules) => rules.some((body) => jump.test(body)));
}
