import {
  type At,
  type HookPacket,
  Net,
  type ParsedRule,
  parseRule,
  type Sets,
} from "./rule-text.ts";

/** What became of a packet at one node. */
export interface Fate {
  readonly accepted: boolean;
  /** The rule that ended it: "filter cali-tw-x: -m ...". */
  readonly by: string;
}

type Tables = Map<string, Map<string, ParsedRule[]>>;

/** Tables that a packet meets, in order (netfilter's hooks). NAT decides nothing here. */
const hooks = {
  forward: ["raw PREROUTING", "mangle PREROUTING", "filter FORWARD", "mangle POSTROUTING"],
  input: ["raw PREROUTING", "mangle PREROUTING", "filter INPUT"],
  output: ["raw OUTPUT", "filter OUTPUT", "mangle POSTROUTING"],
} as const;

/** A call of a chain that goes deeper is a loop: the kernel refuses those. */
const maxDepth = 100;

/**
 * The input of iptables-restore, carried out on packets as netfilter would: chains, jumps, gotos, marks
 * and sets. Kernel chains accept what no rule decides.
 */
export class RuleInterpreter {
  readonly #tables: Tables = new Map();
  readonly #sets: Sets;

  constructor(restoreTexts: Iterable<string>, sets: ReadonlyMap<string, ReadonlySet<string>>) {
    this.#sets = new KernelSets(sets);
    for (const text of restoreTexts) this.#restore(text);
  }

  send(way: keyof typeof hooks, packet: HookPacket): Fate {
    let mark = 0;
    for (const place of hooks[way]) {
      const [table = "", chain = ""] = place.split(" ");
      const run = new Run(this.#tables.get(table) ?? new Map(), { packet, mark, sets: this.#sets });
      const verdict = run.chain(chain, 0);
      if (verdict === "drop") return { accepted: false, by: `${table} ${run.last}` };
      mark = run.mark;
    }
    return { accepted: true, by: "no rule drops it" };
  }

  #restore(text: string): void {
    let table: Map<string, ParsedRule[]> | undefined;
    for (const line of text.split("\n")) {
      const [, command = "", chain = "", body = ""] =
        /^(\*|:|-A |-I )(\S+) ?(.*)$/.exec(line) ?? [];
      if (command === "*") {
        table = this.#tables.get(chain) ?? new Map();
        this.#tables.set(chain, table);
      } else if (command === ":") table?.set(chain, []);
      else if (command === "-A " || command === "-I ") {
        const rules = table?.get(chain) ?? [];
        if (command === "-A ") rules.push(parsed(body));
        else rules.unshift(parsed(body));
        table?.set(chain, rules);
      } else if (line !== "COMMIT" && line !== "") throw new Error(`Cannot interpret ${line}`);
    }
  }
}

/** Most rules stand on every node of every cluster. */
const known = new Map<string, ParsedRule>();
const maxKnown = 50_000;

function parsed(text: string): ParsedRule {
  const before = known.get(text);
  if (before !== undefined) return before;
  if (known.size >= maxKnown) known.clear();
  const rule = parseRule(text);
  known.set(text, rule);
  return rule;
}

/** One packet's way through one table. */
class Run {
  mark: number;
  last = "";
  readonly #chains: ReadonlyMap<string, readonly ParsedRule[]>;
  readonly #at: At;

  constructor(chains: ReadonlyMap<string, readonly ParsedRule[]>, at: At) {
    this.#chains = chains;
    this.#at = at;
    this.mark = at.mark;
  }

  /** What the chain decides; undefined: its caller goes on. */
  chain(name: string, depth: number): "accept" | "drop" | undefined {
    const rules = this.#chains.get(name);
    if (rules === undefined && name.startsWith("cali-"))
      throw new Error(`There is no chain ${name}`);
    if (depth > maxDepth) throw new Error(`Chain ${name} calls itself`);
    for (const rule of rules ?? []) {
      const at = { ...this.#at, mark: this.mark };
      if (!rule.tests.every((test) => test(at))) continue;
      const { target } = rule;
      this.last = `${name}: ${rule.text}`;
      if (target.kind === "accept" || target.kind === "drop") return target.kind;
      if (target.kind === "return") return undefined;
      if (target.kind === "goto") return this.chain(target.chain, depth + 1);
      if (target.kind === "mark") this.mark = ((this.mark & ~target.mask) | target.value) >>> 0;
      if (target.kind !== "jump") continue;
      const verdict = this.chain(target.chain, depth + 1);
      if (verdict !== undefined) return verdict;
    }
    return undefined;
  }
}

class KernelSets implements Sets {
  readonly #sets: ReadonlyMap<string, ReadonlySet<string>>;
  readonly #nets = new Map<string, readonly Net[]>();

  constructor(sets: ReadonlyMap<string, ReadonlySet<string>>) {
    this.#sets = sets;
  }

  /** A set of nets has the address in one of them; one of ports has exactly the pair. */
  has(name: string, address: string, port: string | undefined): boolean {
    const members = this.#sets.get(name);
    if (members === undefined) throw new Error(`There is no set ${name}`);
    if (port !== undefined) return members.has(`${address},${port}`);
    const nets = this.#nets.get(name) ?? [...members].map((member) => new Net(member));
    this.#nets.set(name, nets);
    return nets.some((net) => net.has(address));
  }
}
