import type { CalicoNodeStatus, CalicoNodeStatusStatus } from "../../api/resources/node-status.ts";
import type { Datastore } from "../../datastore/datastore.ts";
import { runSyncer, type SyncerConfig } from "../../datastore/reflector.ts";
import type { Update } from "../../datastore/syncer.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";

export interface NodeStatusDeps {
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly decode?: SyncerConfig["decode"];
}

/** A CalicoNodeStatus of this node, and when it is written next. */
interface Reported {
  /** What of it makes a new period. */
  readonly spec: string;
  readonly cancel: () => void;
}

/**
 * Fills the status of every CalicoNodeStatus of this node: when it appears or changes, and then every
 * updatePeriodSeconds. A write that fails is left to the next period.
 */
export class NodeStatusReporter {
  readonly #nodeName: string;
  readonly #deps: NodeStatusDeps;
  readonly #read: (spec: CalicoNodeStatus["spec"]) => CalicoNodeStatusStatus;
  readonly #reported = new Map<string, Reported>();

  constructor(
    nodeName: string,
    deps: NodeStatusDeps,
    read: (spec: CalicoNodeStatus["spec"]) => CalicoNodeStatusStatus,
  ) {
    this.#nodeName = nodeName;
    this.#deps = deps;
    this.#read = read;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { datastore, clock, log, decode } = this.#deps;
    const callbacks = {
      onUpdates: (updates: readonly Update[]) => {
        for (const update of updates) this.#onUpdate(update);
      },
      onStatus: () => undefined,
    };
    const kinds = ["CalicoNodeStatus"] as const;
    const config = { kinds, ...(decode === undefined ? {} : { decode }) };
    try {
      await runSyncer(config, { datastore, callbacks, clock, log }, signal);
    } finally {
      for (const { cancel } of this.#reported.values()) cancel();
      this.#reported.clear();
    }
  }

  #onUpdate({ key: { name }, value }: Update): void {
    const before = this.#reported.get(name);
    const isOurs = value?.kind === "CalicoNodeStatus" && value.spec.node === this.#nodeName;
    const spec = isOurs ? JSON.stringify(value.spec) : "";
    if (before?.spec === spec) return;
    before?.cancel();
    this.#reported.delete(name);
    if (isOurs && value.spec.updatePeriodSeconds > 0) this.#writeAfter(0, name, spec);
  }

  #writeAfter(delayMs: number, name: string, spec: string): void {
    const cancel = this.#deps.clock.setTimer(delayMs, () => void this.#write(name, spec));
    this.#reported.set(name, { spec, cancel });
  }

  async #write(name: string, spec: string): Promise<void> {
    const { datastore, log } = this.#deps;
    const wanted = JSON.parse(spec) as CalicoNodeStatus["spec"];
    try {
      const object = await datastore.get<"CalicoNodeStatus">({ kind: "CalicoNodeStatus", name });
      const status = this.#read(wanted);
      await datastore.update<"CalicoNodeStatus">({ ...object, status });
    } catch (error) {
      log.debug({ name, reason: errorMessage(error) }, "Node status not written");
    }
    // It may have gone or changed meanwhile.
    if (this.#reported.get(name)?.spec !== spec) return;
    this.#writeAfter(wanted.updatePeriodSeconds * 1000, name, spec);
  }
}
