import { getOrCreate } from "../lib/collections.ts";
import type { Metric } from "../lib/metrics.ts";

export interface CountedPorts {
  /** Absent: nobody asks. */
  readonly counts?: ReconcileCounts;
}

/** The work of a controller, counted where somebody asks. */
export function counted<Result>(
  { counts }: CountedPorts,
  controller: string,
  work: () => Promise<Result>,
): () => Promise<Result> {
  return counts?.counted(controller, work) ?? work;
}

/** How often each controller looked, and how often it failed. */
export class ReconcileCounts {
  readonly #counts = new Map<string, { looks: number; errors: number }>();

  /** The work of a controller, counted. */
  counted<Result>(controller: string, work: () => Promise<Result>): () => Promise<Result> {
    const count = getOrCreate(this.#counts, controller, () => ({ looks: 0, errors: 0 }));
    return async () => {
      count.looks++;
      try {
        return await work();
      } catch (error) {
        count.errors++;
        throw error;
      }
    };
  }

  collect(): readonly Metric[] {
    const samples = (value: "looks" | "errors") =>
      [...this.#counts].map(([controller, count]) => ({
        labels: { controller },
        value: count[value],
      }));
    return [
      {
        name: "tortie_controllers_reconciles_total",
        help: "Looks of each controller.",
        type: "counter",
        samples: samples("looks"),
      },
      {
        name: "tortie_controllers_reconcile_errors_total",
        help: "Looks that failed.",
        type: "counter",
        samples: samples("errors"),
      },
    ];
  }
}
