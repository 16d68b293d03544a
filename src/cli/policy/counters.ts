import { startExecHelper } from "../../kernel/exec-helper.ts";
import { detectBackend, programOf } from "../../kernel/iptables/backend.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { KernelRule } from "./node-chains.ts";

export interface RuleCounters {
  readonly packets: number;
  readonly bytes: number;
}

/** By `counterKey`. */
export type Counters = ReadonlyMap<string, RuleCounters>;

/** Tables that have rules of policies. */
const tables = ["raw", "mangle", "filter"];

/** A policy's chain may stand in several tables, under one name and with the same hashes. */
export function counterKey({ table, hash }: Pick<KernelRule, "table" | "hash">): string {
  return `${table} ${hash}`;
}

/** Counters of this host's rules. Needs the right to read iptables. */
export async function readCounters(family: IpFamily): Promise<Counters> {
  const exec = startExecHelper();
  try {
    const backend = await detectBackend(exec);
    const program = programOf(backend, family, "save");
    const texts: string[] = [];
    for (const table of tables) {
      const { code, stdout, stderr } = await exec.run(program, ["-c", "-t", table]);
      if (code !== 0) throw new Error(`Cannot read the rules of this host: ${stderr.trim()}`);
      texts.push(stdout);
    }
    return countersOf(texts.join(""));
  } finally {
    exec.close();
  }
}

/** Counters of the output of iptables-save -c. */
export function countersOf(text: string): Counters {
  const counters = new Map<string, RuleCounters>();
  let table = "";
  const lines = /^\*(\w+)|^\[(\d+):(\d+)\] -A .*--comment "?cali:([\w-]{16})"?(?: |$)/gm;
  for (const [, begins, packets, bytes, hash = ""] of text.matchAll(lines)) {
    if (begins !== undefined) table = begins;
    else counters.set(`${table} ${hash}`, { packets: Number(packets), bytes: Number(bytes) });
  }
  return counters;
}
