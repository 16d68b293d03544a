import { keyOf, keyText, type ResourceKey } from "../../api/resource-key.ts";
import { isLocked } from "../../datastore/cluster-lock.ts";
import { type Datastore, isDatastoreError } from "../../datastore/datastore.ts";
import { runSyncer } from "../../datastore/reflector.ts";
import type { SyncerCallbacks } from "../../datastore/syncer.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { PacedRunner } from "../../lib/paced-runner.ts";
import { runServices, type Service } from "../../lib/service.ts";
import {
  type Copied,
  type CopiedKind,
  type CopyController,
  type CopyRule,
  type CopyStep,
  copyRules,
  copyStep,
} from "./copy-rules.ts";

export interface CopyConfig {
  readonly controllers: readonly CopyController[];
  /** Everything is compared again after this long. */
  readonly periodMs: number;
}

export interface CopyPorts {
  /** Kubernetes, as a datastore shows it. */
  readonly source: Datastore;
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
}

const paces = { minIntervalMs: 100, retryIntervalMs: 5_000 };
/** A datastore that was locked is looked at again after this long. */
const lockedMs = 30_000;
/** Writes that are on their way at once. */
const atOnce = 16;

/**
 * Copies what Kubernetes knows into a datastore that is not Kubernetes: namespaces, service accounts and network
 * policies as they come and go, and what a pod says into its endpoint. Both sides are followed, so that what somebody
 * else changes in a copy is put right too. Nothing is written before both were read wholly: what is not known of is not
 * deleted.
 */
export function kubernetesCopies(config: CopyConfig, ports: CopyPorts): Service {
  return async (signal) => {
    const copies = new Copies(config, ports);
    await copies.run(signal);
  };
}

class Copies {
  readonly #config: CopyConfig;
  readonly #ports: CopyPorts;
  readonly #rules: readonly CopyRule[];
  readonly #kinds: readonly CopiedKind[];
  readonly #runner: PacedRunner;
  readonly #source = new Side();
  readonly #target = new Side();
  /** Keys that may differ. */
  readonly #dirty = new Map<string, ResourceKey>();
  #comparedAt: Millis | undefined;

  constructor(config: CopyConfig, ports: CopyPorts) {
    this.#config = config;
    this.#ports = ports;
    this.#rules = config.controllers.map((name) => copyRules[name]);
    this.#kinds = [...new Set(this.#rules.map(({ kind }) => kind))];
    const maxIntervalMs = Math.min(config.periodMs, lockedMs);
    this.#runner = new PacedRunner({ ...paces, maxIntervalMs }, ports.clock);
  }

  run(signal: AbortSignal): Promise<void> {
    const { source, datastore, clock, log } = this.#ports;
    const onError = (error: unknown) =>
      log.error({ reason: errorMessage(error) }, "Cannot copy what Kubernetes says");
    const follow = (store: Datastore, side: Side) => (stop: AbortSignal) => {
      const callbacks = this.#callbacksOf(side);
      return runSyncer({ kinds: this.#kinds }, { datastore: store, clock, log, callbacks }, stop);
    };
    return runServices(
      [
        follow(source, this.#source),
        follow(datastore, this.#target),
        (stop) => this.#runner.start(() => this.#settle(stop), onError, stop),
      ],
      signal,
    );
  }

  #callbacksOf(side: Side): SyncerCallbacks {
    return {
      onUpdates: (updates) => {
        for (const { key, value } of updates) {
          if (this.#ruleOf(key) === undefined) continue;
          const text = keyText(key);
          if (value === null) side.objects.delete(text);
          else side.objects.set(text, value as Copied);
          this.#dirty.set(text, key);
        }
        this.#runner.request();
      },
      onStatus: (status) => {
        side.inSync ||= status === "in-sync";
        this.#runner.request();
      },
    };
  }

  #ruleOf(key: ResourceKey): CopyRule | undefined {
    return this.#rules.find((rule) => rule.kind === key.kind && rule.owns(key));
  }

  async #settle(signal: AbortSignal): Promise<void> {
    const { datastore, clock, log } = this.#ports;
    if (!this.#source.inSync || !this.#target.inSync || (await isLocked(datastore))) return;
    const now = clock.now();
    if (this.#comparedAt === undefined || now - this.#comparedAt >= this.#config.periodMs) {
      this.#comparedAt = now;
      this.#compareAll();
    }
    const done = { create: 0, update: 0, delete: 0 };
    while (this.#dirty.size > 0 && !signal.aborted) {
      const some = [...this.#dirty].slice(0, atOnce);
      await Promise.all(some.map(([text, key]) => this.#copy(text, key, done)));
    }
    const { create: created, update: updated, delete: deleted } = done;
    if (created + updated + deleted > 0) {
      log.info({ created, updated, deleted }, "Copied what Kubernetes says");
    }
  }

  #compareAll(): void {
    for (const side of [this.#source, this.#target]) {
      for (const [text, resource] of side.objects) this.#dirty.set(text, keyOf(resource));
    }
  }

  /** What fails stays dirty. */
  async #copy(
    text: string,
    key: ResourceKey,
    done: Record<CopyStep["verb"], number>,
  ): Promise<void> {
    const rule = this.#ruleOf(key);
    const step =
      rule && copyStep(rule, this.#source.objects.get(text), this.#target.objects.get(text));
    // What comes while it is written is looked at again.
    this.#dirty.delete(text);
    if (step === undefined) return;
    try {
      await this.#write(step);
      done[step.verb]++;
    } catch (error) {
      // Somebody else wrote or deleted it: the datastore tells of that, and it is dirty again.
      if (isTaken(error)) return;
      this.#dirty.set(text, key);
      throw error;
    }
  }

  async #write({ verb, resource }: CopyStep): Promise<void> {
    const { datastore } = this.#ports;
    if (verb === "delete")
      await datastore.delete(keyOf(resource), resource.metadata.resourceVersion);
    else await datastore[verb]<CopiedKind>(resource);
  }
}

/** What was told of one of the two. */
class Side {
  readonly objects = new Map<string, Copied>();
  inSync = false;
}

function isTaken(error: unknown): boolean {
  return (["conflict", "not-found", "already-exists"] as const).some((code) =>
    isDatastoreError(error, code),
  );
}
