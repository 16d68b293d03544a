import type { Datastore } from "../datastore/datastore.ts";
import type { ExecHelper } from "../kernel/exec-helper.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { createLogger, type Logger } from "../lib/log.ts";
import type { Area } from "../takeover/finding.ts";
import type { Environment } from "./process.ts";

export interface TakeoverPorts {
  readonly nodeName: string;
  readonly env: Environment;
  readonly datastore: Datastore;
  readonly kernel: Kernel;
  readonly exec: ExecHelper;
  readonly clock: Clock;
  /** The kernel has IPv6. */
  readonly ipv6: boolean;
}

/** What cannot be read is told in the place of what would have been found. */
export async function attempt(
  name: string,
  areas: () => Promise<readonly Area[]>,
): Promise<readonly Area[]> {
  try {
    return await areas();
  } catch (error) {
    return [{ name, equal: 0, findings: [], notes: [], error: errorMessage(error) }];
  }
}

/** A log whose warnings are notes. */
export function noting(notes: string[]): Logger {
  const write = (line: string) => {
    const {
      msg,
      reason,
      time: _t,
      level: _l,
      pid: _p,
      hostname: _h,
      name: _n,
      ...rest
    } = JSON.parse(line) as Record<string, unknown>;
    const fields = Object.keys(rest).length === 0 ? "" : ` ${JSON.stringify(rest)}`;
    notes.push(`${msg}${reason === undefined ? "" : `: ${reason}`}${fields}`);
  };
  return createLogger({ name: "takeover", level: "warn" }, { write });
}
