import { startExecHelper } from "../../kernel/exec-helper.ts";
import { detectBackend, programOf } from "../../kernel/iptables/backend.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";

export interface RuleCounters {
  readonly packets: number;
  readonly bytes: number;
}

/** Counters of this host's rules, by hash. Needs the right to read iptables. */
export async function readCounters(family: IpFamily): Promise<ReadonlyMap<string, RuleCounters>> {
  const exec = startExecHelper();
  try {
    const backend = await detectBackend(exec);
    const program = programOf(backend, family, "save");
    const { code, stdout, stderr } = await exec.run(program, ["-c", "-t", "filter"]);
    if (code !== 0) throw new Error(`Cannot read the rules of this host: ${stderr.trim()}`);
    return countersOf(stdout);
  } finally {
    exec.close();
  }
}

/** Counters of the output of iptables-save -c, by the hash of the rule. */
export function countersOf(text: string): Map<string, RuleCounters> {
  const lines = text.matchAll(/^\[(\d+):(\d+)\] -A .*--comment "?cali:([\w-]{16})"?(?: |$)/gm);
  return new Map(
    [...lines].map(([, packets, bytes, hash = ""]) => [
      hash,
      { packets: Number(packets), bytes: Number(bytes) },
    ]),
  );
}
