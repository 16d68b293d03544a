import type { SyncStatus } from "../../datastore/syncer.ts";
import type { ExecHelper } from "../../kernel/exec-helper.ts";

/** By which a denied packet is counted. `policy` is "" at a tier's end, `tier` too for profiles. */
export interface DeniedLabels {
  readonly direction: "ingress" | "egress";
  readonly tier: string;
  readonly policy: string;
}

/** How often something was done, and how long all of it took. */
export interface Spent {
  count: number;
  ms: number;
}

/** What felix has done since its process began, whatever configuration it had meanwhile. */
export class FelixCounters {
  /** Objects that the datastore told of, by kind. */
  readonly objects: Map<string, number> = new Map();
  /** What the calculation told the dataplane, by kind. */
  readonly updates: Map<string, number> = new Map();
  /** Runs of iptables-save and iptables-restore, and those that failed. */
  readonly tools: Map<string, number> = new Map();
  readonly deniedPackets: Map<string, { readonly labels: DeniedLabels; count: number }> = new Map();
  readonly applies: Spent = { count: 0, ms: 0 };
  /** From a Felix' begin until the kernel was right for the first time. */
  readonly firstApplies: Spent = { count: 0, ms: 0 };
  readonly calculations: Spent = { count: 0, ms: 0 };
  /** Runs of any program. */
  readonly programs: Spent = { count: 0, ms: 0 };
  /** Lines that iptables-restore was given. */
  restoreLines = 0;
  failures = 0;
  resyncs = 0;
  datastore: SyncStatus = "waiting";

  count(kind: string, of: "objects" | "updates" | "tools"): void {
    this[of].set(kind, (this[of].get(kind) ?? 0) + 1);
  }

  applied(milliseconds: number, failed: boolean): void {
    spend(this.applies, milliseconds);
    if (failed) this.failures++;
  }

  firstApplied(milliseconds: number): void {
    spend(this.firstApplies, milliseconds);
  }

  calculated(milliseconds: number): void {
    spend(this.calculations, milliseconds);
  }

  denied(labels: DeniedLabels): void {
    const key = JSON.stringify(labels);
    const counted = this.deniedPackets.get(key) ?? { labels, count: 0 };
    this.deniedPackets.set(key, counted);
    counted.count++;
  }

  datastoreStatus(status: SyncStatus): void {
    this.datastore = status;
    if (status === "resyncing") this.resyncs++;
  }

  /** The same helper, whose runs are counted, and those of iptables' tools by themselves. */
  counting(exec: ExecHelper): ExecHelper {
    return {
      close: () => exec.close(),
      run: async (program, args, options) => {
        const tool = /tables.*-(save|restore)$/.exec(program)?.[1];
        const began = performance.now();
        if (tool !== undefined) this.count(`${tool}_calls`, "tools");
        let failed = true;
        try {
          const result = await exec.run(program, args, options);
          failed = result.code !== 0;
          if (tool === "restore" && !failed) this.restoreLines += linesOf(options?.stdin);
          return result;
        } finally {
          spend(this.programs, performance.now() - began);
          if (failed && tool !== undefined) this.count(`${tool}_errors`, "tools");
        }
      },
    };
  }
}

function spend(spent: Spent, milliseconds: number): void {
  spent.count++;
  spent.ms += milliseconds;
}

function linesOf(text = ""): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}
