import { getOrCreate } from "../../lib/collections.ts";
import type { TableName } from "./model.ts";

/** One table as iptables-save shows it. The text of foreign rules is kept, but not understood. */
export interface SavedTable {
  /** All chains, kernel chains among them, with their rules in order. */
  readonly chains: ReadonlyMap<string, readonly SavedRule[]>;
}

export interface SavedRule {
  /** The hash of its first "cali:" comment; absent for a foreign rule. */
  readonly hash?: string;
  /** What follows "-A chain ". */
  readonly body: string;
  /** The chain that it jumps or goes to, a kernel target among them. */
  readonly target?: string;
}

const hashPattern = /--comment "?cali:([\w-]{16})"?(?: |$)/;
const targetPattern = /(?:^| )(?:-j|-g|--jump|--goto) (\S+)/g;

/**
 * Parses the output of iptables-save for one table. No section at all means an empty table: the
 * legacy variant prints none when the kernel has not loaded it.
 *
 * @throws {SyntaxError} when the output is cut off, or says that the tool cannot read the table:
 *   then its exit code is 0 all the same (facts 4.17).
 */
export function parseSave(output: string, table: TableName): SavedTable {
  const chains = new Map<string, SavedRule[]>();
  let inside = false;
  let complete = true;
  for (const line of output.split("\n")) {
    if (line.startsWith("#")) {
      if (line.includes("is incompatible")) throw new SyntaxError(`Cannot read tables: ${line}`);
    } else if (line.startsWith("*")) {
      inside = line === `*${table}`;
      complete = false;
    } else if (line === "COMMIT") {
      inside = false;
      complete = true;
    } else if (inside && line.startsWith(":")) {
      getOrCreate(chains, line.slice(1, line.indexOf(" ")), () => []);
    } else if (inside && line.startsWith("-A ")) {
      const end = line.indexOf(" ", 3);
      const [chain, body] =
        end < 0 ? [line.slice(3), ""] : [line.slice(3, end), line.slice(end + 1)];
      getOrCreate(chains, chain, () => []).push(savedRule(body));
    }
  }
  if (!complete) throw new SyntaxError(`Cannot read table ${table}: the output has no end`);
  return { chains };
}

function savedRule(body: string): SavedRule {
  const hash = hashPattern.exec(body)?.[1];
  const target = [...withoutQuoted(body).matchAll(targetPattern)].at(-1)?.[1];
  return {
    body,
    ...(hash === undefined ? {} : { hash }),
    ...(target === undefined ? {} : { target }),
  };
}

/** A comment may hold the text of an option. */
function withoutQuoted(body: string): string {
  return body.replace(/"(?:[^"\\]|\\.)*"/g, '""');
}
