import type { Node } from "../api/resources/node.ts";
import type { Datastore } from "../datastore/datastore.ts";
import type { Update } from "../datastore/syncer.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { PacedRunner } from "../lib/paced-runner.ts";
import { changeNode } from "./own-node.ts";

const pace = {
  minIntervalMs: 500,
  retryIntervalMs: 5_000,
  maxIntervalMs: Number.POSITIVE_INFINITY,
} as const;

export interface AnnouncementPorts {
  readonly nodeName: string;
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Keeps in this node's Node what path checks have to say in it, whoever else writes it. */
export class Announcement {
  readonly #ports: AnnouncementPorts;
  readonly #wanted: (node: Node) => Node;
  readonly #runner: PacedRunner;
  readonly #said = Promise.withResolvers<void>();
  #isSaid = true;

  /** `wanted` gives the same object for a node that needs no change. */
  constructor(ports: AnnouncementPorts, wanted: (node: Node) => Node) {
    this.#ports = ports;
    this.#wanted = wanted;
    this.#runner = new PacedRunner(pace, ports.clock);
  }

  /** Resolves once the datastore told all, and the Node is as wanted. */
  get said(): Promise<void> {
    return this.#said.promise;
  }

  /** What the datastore tells. */
  learn(updates: readonly Update[]): void {
    for (const { value } of updates) {
      if (value?.kind !== "Node" || value.metadata.name !== this.#ports.nodeName) continue;
      this.#isSaid = this.#wanted(value) === value;
      if (!this.#isSaid) this.#runner.request();
    }
  }

  /** The datastore told all that there is. */
  learned(): void {
    if (this.#isSaid) this.#said.resolve();
  }

  /** Until `signal` aborts. */
  run(signal: AbortSignal): Promise<void> {
    const { nodeName, datastore, log } = this.#ports;
    return this.#runner.start(
      async () => {
        await changeNode(nodeName, datastore, this.#wanted);
        this.#isSaid = true;
        this.#said.resolve();
      },
      (error) => log.warn({ reason: errorMessage(error) }, "path check key not written"),
      signal,
    );
  }
}
