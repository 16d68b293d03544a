import { setTimeout as delay } from "node:timers/promises";
import { keyOf, keyText, type ResourceKey } from "../../src/api/resource-key.ts";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import type { GlobalNetworkSet, NetworkSet } from "../../src/api/resources/network-set.ts";
import { type Datastore, DatastoreError, isDatastoreError } from "../../src/datastore/datastore.ts";
import { type Stamp, stampLabels, stampOf, type Truth } from "./truth.ts";

export const soakKinds = ["GlobalNetworkSet", "NetworkSet"] as const;
export const soakNamespaces = ["soak-a", "soak-b"] as const;

const namesEach = 15;
const retryMs = 100;
/** Less than this may be unanswered: then the server has not come back. */
const patienceMs = 300_000;

/** What a writer needs of a datastore. */
export type WriterStore = Pick<Datastore, "get" | "create" | "update" | "delete" | "close">;

type SoakSet = GlobalNetworkSet | NetworkSet;

/**
 * Creates, updates and deletes a few objects, and knows what is stored: a call whose outcome nobody
 * told is made again until it is certain. It must be the only writer.
 */
export class SoakWriter {
  readonly #datastore: WriterStore;
  readonly #truth: Truth;
  readonly #pauseMs: number;
  readonly #keys: readonly ResourceKey[] = keys();
  readonly #stored = new Map<string, SoakSet>();
  #incarnations = 0;
  writes = 0;
  deletes = 0;
  /** Calls that a failing server left open. */
  unanswered = 0;

  constructor(datastore: WriterStore, truth: Truth, pauseMs: number) {
    this.#datastore = datastore;
    this.#truth = truth;
    this.#pauseMs = pauseMs;
  }

  /** Returns when the last write is certain. */
  async writeUntil(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#writeOne();
      await delay(this.#pauseMs);
    }
  }

  async #writeOne(): Promise<void> {
    const key = this.#keys[Math.floor(Math.random() * this.#keys.length)] as ResourceKey;
    const present = this.#stored.get(keyText(key));
    if (present === undefined) await this.#put(freshSet(key, ++this.#incarnations));
    else if (Math.random() < 0.3) await this.#delete(key, present.metadata.resourceVersion);
    else await this.#put(nextVersion(present));
    this.writes++;
  }

  async #put(wanted: SoakSet): Promise<void> {
    const key = keyOf(wanted as AnyResource);
    const isNew = wanted.metadata.resourceVersion === undefined;
    const stored = await this.#untilCertain(key, stampOf(wanted), async () => {
      const written = isNew
        ? await this.#datastore.create<SoakSet["kind"]>(wanted)
        : await this.#datastore.update<SoakSet["kind"]>(wanted);
      return written as SoakSet;
    });
    this.#stored.set(keyText(key), stored as SoakSet);
    this.#truth.storedAt(key, stampOf(wanted));
  }

  async #delete(key: ResourceKey, version: string | undefined): Promise<void> {
    this.#truth.willDelete(key);
    await this.#untilCertain(key, undefined, async () => {
      await this.#datastore.delete(key, version);
      return undefined;
    });
    this.#stored.delete(keyText(key));
    this.#truth.deleted(key);
    this.deletes++;
  }

  /** A refusal means that an earlier try has taken place: then the object is as it was wanted. */
  async #untilCertain(
    key: ResourceKey,
    wanted: Stamp | undefined,
    act: () => Promise<SoakSet | undefined>,
  ): Promise<SoakSet | undefined> {
    const end = performance.now() + patienceMs;
    for (;;) {
      try {
        return await act().catch((error: unknown) => this.#afterRefusal(key, wanted, error));
      } catch (error) {
        if (!isDatastoreError(error, "unavailable") || performance.now() > end) throw error;
        this.unanswered++;
        await delay(retryMs);
      }
    }
  }

  async #afterRefusal(
    key: ResourceKey,
    wanted: Stamp | undefined,
    error: unknown,
  ): Promise<SoakSet | undefined> {
    const isRefusal =
      error instanceof DatastoreError &&
      ["conflict", "already-exists", "not-found"].includes(error.code);
    if (!isRefusal) throw error;
    const found = await this.#read(key);
    const stamp = found === undefined ? undefined : stampOf(found);
    if (stamp?.incarnation === wanted?.incarnation && stamp?.version === wanted?.version) {
      return found;
    }
    throw new Error(`${keyText(key)} is not as its only writer left it`, { cause: error });
  }

  async #read(key: ResourceKey): Promise<SoakSet | undefined> {
    try {
      return (await this.#datastore.get(key)) as SoakSet;
    } catch (error) {
      if (isDatastoreError(error, "not-found")) return undefined;
      throw error;
    }
  }
}

function keys(): ResourceKey[] {
  return Array.from({ length: namesEach }, (_, index): ResourceKey[] => [
    { kind: "GlobalNetworkSet", name: `set-${index}` },
    ...soakNamespaces.map(
      (namespace) => ({ kind: "NetworkSet", name: `set-${index}`, namespace }) as const,
    ),
  ]).flat();
}

function freshSet({ kind, name, namespace }: ResourceKey, incarnation: number): SoakSet {
  const labels = stampLabels({ incarnation, version: 1 });
  return {
    apiVersion: "projectcalico.org/v3",
    kind,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), labels },
    spec: { nets: ["192.0.2.0/24"] },
  } as SoakSet;
}

function nextVersion(present: SoakSet): SoakSet {
  const { incarnation, version } = stampOf(present);
  const labels = {
    ...present.metadata.labels,
    ...stampLabels({ incarnation, version: version + 1 }),
  };
  return { ...present, metadata: { ...present.metadata, labels } };
}
