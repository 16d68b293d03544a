import type { TableReport } from "../felix/dry-run.ts";
import type { SavedRule, SavedTable } from "../kernel/iptables/parse-save.ts";
import { getOrCreate } from "../lib/collections.ts";
import { canonicalRule, isTelling } from "./canonical-rule.ts";
import { type Bodies, dispatchRoot, leadAlike } from "./dispatch-tree.ts";
import type { Area, Finding } from "./finding.ts";

/**
 * One table of iptables. All that would be written to it is one restore: the kernel takes all of it or nothing,
 * between two packets, so none is lost for the writing. What counts is whether the new rules decide otherwise.
 */
export function judgeTable(
  report: TableReport,
  kind: "nft" | "legacy",
  otherEnforces: boolean,
): Area {
  const { table, family, plan, saved, chains } = report;
  const written = writtenChains(plan.write);
  const removed = new Set(plan.remove.map((line) => line.slice("-X ".length)));
  const findings: Finding[] = [];
  const isSameDispatch = dispatchesAlike(saved, written, removed);
  for (const [name, bodies] of written) {
    const present = saved.chains.get(name);
    if (removed.has(name)) continue;
    if (present === undefined) findings.push(newChain(name, bodies.length));
    else if (isSame(present, bodies, canonicalRule)) findings.push(onlyHashes(name));
    else if (isSameDispatch(name)) findings.push(otherSteps(name));
    else findings.push(judgeChain(name, present, bodies));
  }
  findings.push(...[...removed].map(goneChain));
  findings.push(...judgeKernelChains(report, written, otherEnforces));
  const changed = [...written.keys()].filter((name) => !removed.has(name)).length;
  const name = `iptables ${kind} IPv${family} ${table}`;
  return { name, equal: Math.max(0, chains - changed), findings, notes: [] };
}

/** Of a chain: whether it is one of a tree that leads each interface to the same as before. */
function dispatchesAlike(
  saved: SavedTable,
  written: Bodies,
  removed: ReadonlySet<string>,
): (chain: string) => boolean {
  const before = new Map(
    [...saved.chains].map(([name, rules]) => [name, rules.map(({ body }) => body)]),
  );
  const after = new Map([...before, ...written].filter(([name]) => !removed.has(name)));
  const known = new Map<string, boolean>();
  return (chain) => {
    const root = dispatchRoot(chain);
    return root !== undefined && getOrCreate(known, root, () => leadAlike(root, before, after));
  };
}

/** Chains that would be emptied and filled, with their new rules. */
function writtenChains(lines: readonly string[]): Map<string, string[]> {
  const written = new Map<string, string[]>();
  for (const line of lines) {
    const flushed = /^:(\S+) /.exec(line)?.[1];
    if (flushed !== undefined) written.set(flushed, []);
    const [, chain = "", body = ""] = /^-A (\S+) (.*)$/s.exec(line) ?? [];
    written.get(chain)?.push(body);
  }
  return written;
}

type Form = (body: string) => string;

function isSame(present: readonly SavedRule[], bodies: readonly string[], form: Form): boolean {
  return (
    present.length === bodies.length &&
    present.every(({ body }, index) => form(body) === form(bodies[index] ?? ""))
  );
}

function onlyHashes(name: string): Finding {
  return {
    change: "replaced",
    what: `chain ${name}`,
    interrupts: false,
    why: "differs only in hash comments: all are replaced in one restore, no packet is lost",
  };
}

function otherSteps(name: string): Finding {
  return {
    change: "replaced",
    what: `chain ${name}`,
    interrupts: false,
    why: "it leads each interface to the same chain as before, in other steps",
  };
}

function newChain(name: string, rules: number): Finding {
  return {
    change: "added",
    what: `chain ${name} with ${rules} rules`,
    interrupts: false,
    why: "nothing leads to it yet; what will is written with it",
  };
}

function goneChain(name: string): Finding {
  return {
    change: "removed",
    what: `chain ${name}`,
    interrupts: false,
    why: "nothing leads to it any more once the others are written",
  };
}

/** A chain whose rules are others. */
function judgeChain(
  name: string,
  present: readonly SavedRule[],
  bodies: readonly string[],
): Finding {
  const deciding = present.filter(({ body }) => !isTelling(body));
  const wanted = bodies.filter((body) => !isTelling(body));
  if (isSame(deciding, wanted, canonicalRule)) {
    return {
      change: "replaced",
      what: `chain ${name}`,
      interrupts: false,
      why: "it differs in what it logs: it decides as before",
    };
  }
  const byHand = deciding.find(({ hash }) => hash === undefined);
  const more = difference(
    deciding.map(({ body }) => body),
    wanted,
  );
  const why =
    byHand === undefined
      ? `it decides otherwise: ${more}`
      : `it was edited by hand, as one rule has no hash of felix: ${more}`;
  return { change: "replaced", what: `chain ${name}`, interrupts: true, why };
}

/** The first rules that only one of them has. */
function difference(present: readonly string[], wanted: readonly string[]): string {
  const only = (these: readonly string[], those: readonly string[]) => {
    const known = new Set(those.map(canonicalRule));
    return these.filter((body) => !known.has(canonicalRule(body)));
  };
  const parts = [
    ...only(present, wanted)
      .slice(0, 2)
      .map((body) => `"${plain(body)}" would go`),
    ...only(wanted, present)
      .slice(0, 2)
      .map((body) => `"${plain(body)}" would come`),
  ];
  return parts.length === 0 ? "the same rules come in another order" : parts.join("; ");
}

/** Without the hash, which nobody reads. */
function plain(body: string): string {
  return body.replace(/-m comment --comment "?cali:[\w-]{16}"? ?/, "").trim();
}

/** What would be done to one chain that is not ours: rules taken out, put in at its head, and at its end. */
interface KernelChain {
  readonly name: string;
  readonly present: readonly SavedRule[];
  readonly out: string[];
  readonly head: string[];
  readonly tail: string[];
}

function judgeKernelChains(
  { plan, saved }: TableReport,
  written: ReadonlyMap<string, unknown>,
  otherEnforces: boolean,
): Finding[] {
  const chains = new Map<string, KernelChain>();
  for (const line of plan.write) {
    const [, verb = "", name = "", body = ""] = /^-([DIA]) (\S+) (.*)$/s.exec(line) ?? [];
    if (name === "" || written.has(name)) continue;
    const present = saved.chains.get(name) ?? [];
    const chain = getOrCreate(chains, name, () => ({ name, present, out: [], head: [], tail: [] }));
    if (verb === "D") chain.out.push(body);
    // Each is put before those that came before it.
    else if (verb === "I") chain.head.unshift(body);
    else chain.tail.push(body);
  }
  return [...chains.values()].map((chain) => judgeKernelChain(chain, otherEnforces));
}

function judgeKernelChain(
  { name, present, out, head, tail }: KernelChain,
  otherEnforces: boolean,
): Finding {
  const what = `rules of felix in ${name}`;
  if (out.length === 0) {
    const why = otherEnforces
      ? "felix's rules are in the other backend now: what those decide is not compared with these"
      : `nothing leads from ${name} to felix's chains now: what policy denies would end`;
    return { change: "added", what, interrupts: true, why };
  }
  const into = [...head, ...tail];
  const forms = (bodies: readonly string[]) => bodies.map(canonicalRule).sort().join("\n");
  if (forms(out) !== forms(into)) {
    const change = into.length === 0 ? "removed" : "replaced";
    const why = `they decide otherwise: ${difference(out, into)}`;
    return { change, what, interrupts: true, why };
  }
  const foreign = present.filter(({ hash }) => hash === undefined).map(() => "");
  const before = present.map(({ hash, body }) => (hash === undefined ? "" : canonicalRule(body)));
  const after = [...head.map(canonicalRule), ...foreign, ...tail.map(canonicalRule)];
  const interrupts = before.join("\n") !== after.join("\n");
  const why = interrupts
    ? "they stand elsewhere among the rules of others: those before them would come after them"
    : "differ only in hash comments: taken out and put in again in one restore";
  return { change: "replaced", what, interrupts, why };
}
