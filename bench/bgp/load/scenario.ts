import type { LoadClients } from "./load-clients.ts";
import type { OwnSlots } from "./prefix-counter.ts";
import type { PrefixSpace } from "./workload.ts";

/** Who connects, and what they have to tell. */
export type ScenarioSpec =
  | { readonly kind: "reflector"; readonly clients: number; readonly each: number }
  | { readonly kind: "table"; readonly receivers: number };

/** What a row measures; docs/bench/bgp.md says when each starts and ends. */
export type Work = "reflect" | "newRoute" | "withdraw" | "restart" | "fill" | "rss" | "resync";

/** Times in ms, p50 and p99 of times, or megabytes. */
export type RowValues = Readonly<Partial<Record<"ms" | "p50" | "p99" | "mb", number>>>;

/** One start of a target: sessions come up, then `run` does one work after the other. */
export interface Scenario {
  readonly clients: number;
  readonly space: PrefixSpace;
  readonly ownSlots: (client: number) => OwnSlots;
  run(clients: LoadClients, tools: ScenarioTools): Promise<void>;
}

export interface ScenarioTools {
  readonly wants: (work: Work) => boolean;
  /** Runs `task`, and watches both processes meanwhile. */
  readonly measure: (work: Work, task: () => Promise<RowValues>) => Promise<void>;
  readonly timeoutMs: number;
  /** Resident memory of the target, in MB. */
  readonly targetRss: () => number;
}
