import type { SyncStatus } from "../../datastore/syncer.ts";
import type { ExecHelper } from "../../kernel/exec-helper.ts";

/** What felix has done since its process began, whatever configuration it had meanwhile. */
export class FelixCounters {
  /** Objects that the datastore told of, by kind. */
  readonly objects: Map<string, number> = new Map();
  /** What the calculation told the dataplane, by kind. */
  readonly updates: Map<string, number> = new Map();
  /** Runs of iptables-save and iptables-restore, and those that failed. */
  readonly tools: Map<string, number> = new Map();
  applies = 0;
  applySeconds = 0;
  failures = 0;
  resyncs = 0;
  datastore: SyncStatus = "waiting";

  count(kind: string, of: "objects" | "updates" | "tools"): void {
    this[of].set(kind, (this[of].get(kind) ?? 0) + 1);
  }

  applied(milliseconds: number, failed: boolean): void {
    this.applies++;
    this.applySeconds += milliseconds / 1000;
    if (failed) this.failures++;
  }

  datastoreStatus(status: SyncStatus): void {
    this.datastore = status;
    if (status === "resyncing") this.resyncs++;
  }

  /** The same helper, whose runs of iptables' tools are counted. */
  counting(exec: ExecHelper): ExecHelper {
    return {
      close: () => exec.close(),
      run: async (program, args, options) => {
        const tool = /tables.*-(save|restore)$/.exec(program)?.[1];
        if (tool === undefined) return exec.run(program, args, options);
        this.count(`${tool}_calls`, "tools");
        try {
          const result = await exec.run(program, args, options);
          if (result.code !== 0) this.count(`${tool}_errors`, "tools");
          return result;
        } catch (error) {
          this.count(`${tool}_errors`, "tools");
          throw error;
        }
      },
    };
  }
}
