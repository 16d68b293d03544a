import { cidrName } from "../api/names.ts";
import { keyOf, type ResourceKey } from "../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../api/resource-of-kind.ts";
import type {
  AffinityState,
  BlockAffinity,
  IPAMBlock,
  IPAMBlockSpec,
  IPAMHandle,
  IPAMHandleSpec,
} from "../api/resources/ipam.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import type { Clock } from "../lib/clock.ts";
import type { IpFamily } from "../lib/ip-addr.ts";
import type { KeyedLock } from "../lib/keyed-lock.ts";
import { type Prefix, parsePrefix, prefixFamily } from "../lib/prefix.ts";
import { blockResource, normalizeBlock } from "./block.ts";
import { affinityKey, isVirtual, newAffinity } from "./block-affinity.ts";
import type { BlockMemory } from "./block-memory.ts";
import { collectGarbage } from "./block-release.ts";
import {
  addToHandle,
  handleName,
  handleResource,
  type NewHandle,
  newHandle,
  newHandleResource,
  takeFromHandle,
} from "./handles.ts";
import { IpamError } from "./ipam-error.ts";

/** Tries of one compare-and-swap loop before it gives up (facts 3). */
export const maxAttempts = 100;

/** A block as it was read: cold addresses are free again in `spec`. */
export interface StoredBlock {
  readonly cidr: Prefix;
  readonly resource: IPAMBlock;
  readonly spec: IPAMBlockSpec;
}

/** What every record operation needs. */
export interface RecordPorts {
  readonly datastore: Datastore;
  readonly clock: Clock;
  /** 0 to 1, for the pause after a conflict. */
  random(): number;
}

type Deletable = "IPAMBlock" | "IPAMHandle" | "BlockAffinity";

/**
 * IPAM's objects in the datastore: blocks, affinities and handles, each read with what other writers
 * may have left (facts 2.3): an object marked `deleted` counts as absent, and a get finishes its
 * deletion.
 *
 * Differs from facts 2.3 in one write less: we delete at the revision that we read, which all our
 * drivers do atomically, instead of marking first.
 */
export class IpamRecords {
  readonly memory: BlockMemory;
  readonly #turns: KeyedLock;
  readonly #cooldownMs: number;
  readonly #ports: RecordPorts;

  /**
   * `cooldownMs`: how long a released address rests, applied to every block read. `turns`: of all
   * records of a process.
   */
  constructor(
    config: {
      readonly cooldownMs: number;
      readonly memory: BlockMemory;
      readonly turns: KeyedLock;
    },
    ports: RecordPorts,
  ) {
    this.memory = config.memory;
    this.#turns = config.turns;
    this.#cooldownMs = config.cooldownMs;
    this.#ports = ports;
  }

  /** Runs a task on a block when those before it are done: they would only conflict with each other. */
  inTurn<Result>(cidr: Prefix, task: () => Promise<Result>): Promise<Result> {
    return this.#turns.run(cidr, task);
  }

  now(): Date {
    return this.#ports.clock.date();
  }

  async get<K extends Kind>(key: ResourceKey<K>): Promise<ResourceOfKind[K] | undefined> {
    try {
      return await this.#ports.datastore.get(key);
    } catch (error) {
      if (isDatastoreError(error, "not-found")) return undefined;
      throw error;
    }
  }

  async block(cidr: Prefix): Promise<StoredBlock | undefined> {
    const resource = await this.#getLive({ kind: "IPAMBlock", name: cidrName(cidr) });
    return resource === undefined ? undefined : this.#stored(resource);
  }

  /** Every block of one family, or of both. */
  async blocks(family?: IpFamily): Promise<StoredBlock[]> {
    const { items } = await this.#ports.datastore.list("IPAMBlock");
    return items
      .filter(({ spec }) => spec.deleted !== true)
      .map((resource) => this.#stored(resource))
      .filter(({ cidr }) => family === undefined || prefixFamily(cidr) === family);
  }

  affinity(node: string, cidr: Prefix): Promise<BlockAffinity | undefined> {
    return this.#getLive(affinityKey(node, cidr));
  }

  /** `node`: others than this node's need not be given. */
  async affinities(node?: string): Promise<readonly BlockAffinity[]> {
    const options = node === undefined || isVirtual(node) ? {} : { node };
    return (await this.#ports.datastore.list("BlockAffinity", options)).items;
  }

  /** Names of every block. */
  async blockNames(): Promise<ReadonlySet<string>> {
    const { datastore } = this.#ports;
    if (datastore.names !== undefined) return new Set(await datastore.names("IPAMBlock"));
    const { items } = await datastore.list("IPAMBlock");
    return new Set(items.flatMap(({ spec, metadata }) => (spec.deleted ? [] : metadata.name)));
  }

  /** Names of the nodes that exist. */
  async nodes(): Promise<ReadonlySet<string>> {
    const { items } = await this.#ports.datastore.list("Node");
    return new Set(items.map(({ metadata }) => metadata.name));
  }

  handle(id: string): Promise<IPAMHandle | undefined> {
    return this.#getLive({ kind: "IPAMHandle", name: handleName(id) });
  }

  /** @throws {DatastoreError} already-exists */
  async createBlock(spec: IPAMBlockSpec): Promise<StoredBlock> {
    return this.#stored(await this.#ports.datastore.create<"IPAMBlock">(blockResource(spec)));
  }

  /** @throws {DatastoreError} conflict, not-found */
  async updateBlock(read: StoredBlock, spec: IPAMBlockSpec): Promise<StoredBlock> {
    const wanted = { ...read.resource, spec };
    try {
      return this.#wrote(read, await this.#ports.datastore.update<"IPAMBlock">(wanted), spec);
    } catch (error) {
      this.memory.forget(read.cidr);
      throw error;
    }
  }

  /** Handle and block are one write: no crash comes between them. */
  get writesTogether(): boolean {
    return this.#ports.datastore.writeAll !== undefined;
  }

  /**
   * Creates handles that count addresses of the block, and replaces the block.
   *
   * @returns undefined when the datastore cannot do all at once, or has one of the handles.
   * @throws {DatastoreError} conflict, not-found: of the block
   */
  async updateBlockWithHandles(
    read: StoredBlock,
    spec: IPAMBlockSpec,
    handles: readonly NewHandle[],
  ): Promise<StoredBlock | undefined> {
    const block = { ...read.resource, spec };
    try {
      const written = await this.#ports.datastore.writeAll?.([
        ...handles.map((each) => ({
          verb: "create" as const,
          resource: newHandleResource(read.cidr, each),
        })),
        { verb: "update", resource: block },
      ]);
      return written && this.#wrote(read, written.at(-1) as IPAMBlock, spec);
    } catch (error) {
      if (isDatastoreError(error, "already-exists")) return undefined;
      this.memory.forget(read.cidr);
      throw error;
    }
  }

  /**
   * Creates handles that count addresses of the block.
   *
   * @returns false when the datastore cannot do all at once.
   * @throws {DatastoreError} already-exists
   */
  async createHandles(cidr: Prefix, handles: readonly NewHandle[]): Promise<boolean> {
    const resources = handles.map((each) => newHandleResource(cidr, each));
    return (await this.#ports.datastore.createAll?.(resources)) !== undefined;
  }

  /** A block and its affinity are one write. */
  get createsTogether(): boolean {
    return this.#ports.datastore.createAll !== undefined;
  }

  /** @returns undefined when one of them is there. */
  async createBlockWithAffinity(
    spec: IPAMBlockSpec,
    affinity: BlockAffinity,
  ): Promise<StoredBlock | undefined> {
    try {
      const created = await this.#ports.datastore.createAll?.([blockResource(spec), affinity]);
      return created && this.#stored(created[0] as IPAMBlock);
    } catch (error) {
      if (isDatastoreError(error, "already-exists")) return undefined;
      throw error;
    }
  }

  #wrote({ cidr }: StoredBlock, resource: IPAMBlock, spec: IPAMBlockSpec): StoredBlock {
    const written = { cidr, resource, spec };
    this.memory.wrote(written);
    return written;
  }

  /**
   * Creates the affinity, or gives the present one this state. Always a write: it fences rivals. One that
   * is `likelyNew` is created without a look first.
   */
  async writeAffinity(
    node: string,
    cidr: Prefix,
    state: AffinityState,
    { likelyNew = false }: { readonly likelyNew?: boolean } = {},
  ): Promise<BlockAffinity> {
    const { datastore } = this.#ports;
    let unread = likelyNew;
    return await this.retry(async () => {
      const read = unread ? undefined : await this.affinity(node, cidr);
      unread = false;
      const wanted = newAffinity(node, cidr, state);
      if (read === undefined) return await datastore.create<"BlockAffinity">(wanted);
      const labels = { ...read.metadata.labels, ...wanted.metadata.labels };
      return await this.updateAffinity({ ...read, metadata: { ...read.metadata, labels } }, state);
    });
  }

  /** @throws {DatastoreError} conflict, not-found */
  updateAffinity(read: BlockAffinity, state: AffinityState): Promise<BlockAffinity> {
    const spec = { ...read.spec, state };
    return this.#ports.datastore.update<"BlockAffinity">({ ...read, spec });
  }

  /**
   * Deletes what was read.
   *
   * @returns false when it changed since. Gone already is success.
   */
  async remove(read: ResourceOfKind[Deletable]): Promise<boolean> {
    try {
      await this.#ports.datastore.delete(keyOf(read), read.metadata.resourceVersion);
      return true;
    } catch (error) {
      if (isDatastoreError(error, "not-found")) return true;
      if (isDatastoreError(error, "conflict")) return false;
      throw error;
    }
  }

  /**
   * Counts `count` more addresses of a block for the handle. One that is `likelyNew` is created
   * without a look first.
   */
  async incrementHandle(
    id: string,
    cidr: Prefix,
    { count, likelyNew }: { readonly count: number; readonly likelyNew: boolean },
  ): Promise<void> {
    let unread = likelyNew;
    await this.retry(async () => {
      const read = unread ? undefined : await this.handle(id);
      unread = false;
      const before = read?.spec ?? newHandle(id);
      return await this.writeHandle(read, addToHandle(before, cidr, count));
    });
  }

  /**
   * Replaces the handle that was read, or creates it. One without addresses is deleted.
   *
   * @returns undefined when it changed since.
   * @throws {DatastoreError} conflict, not-found, already-exists
   */
  async writeHandle(read: IPAMHandle | undefined, spec: IPAMHandleSpec): Promise<true | undefined> {
    const { datastore } = this.#ports;
    if (Object.keys(spec.block).length === 0) {
      return read === undefined || (await this.remove(read)) ? true : undefined;
    }
    if (read !== undefined) {
      await datastore.update<"IPAMHandle">({ ...read, spec });
      return true;
    }
    await datastore.create<"IPAMHandle">(handleResource(spec));
    return true;
  }

  /** Counts `count` fewer addresses; a handle without addresses is deleted. Never below zero. */
  async decrementHandle(id: string, cidr: Prefix, count: number): Promise<void> {
    await this.retry(async () => {
      const read = await this.handle(id);
      if (read === undefined || !(cidr in read.spec.block)) return true;
      return await this.writeHandle(read, takeFromHandle(read.spec, cidr, count));
    });
  }

  /**
   * Runs one compare-and-swap until it gives a value. It is tried again after a conflict, or when
   * it gives undefined, with a short random pause so that rivals do not stay in step.
   *
   * @throws {IpamError} too-many-conflicts
   */
  async retry<Result>(attempt: () => Promise<Result | undefined>): Promise<Result> {
    const { clock, random } = this.#ports;
    for (let tries = 1; tries <= maxAttempts; tries++) {
      try {
        const result = await attempt();
        if (result !== undefined) return result;
      } catch (error) {
        if (!isRace(error)) throw error;
      }
      if (tries > 2) {
        const pauseMs = random() * Math.min(tries, maxPauseMs);
        await clock.sleep(pauseMs, new AbortController().signal);
      }
    }
    throw new IpamError(
      `Cannot write IPAM's objects: others changed them first at each of ${maxAttempts} tries`,
      { code: "too-many-conflicts", attempts: maxAttempts },
    );
  }

  async #getLive<K extends Deletable>(key: ResourceKey<K>): Promise<ResourceOfKind[K] | undefined> {
    const resource = await this.get(key);
    if (resource === undefined || (resource as ResourceOfKind[Deletable]).spec.deleted !== true) {
      return resource;
    }
    await this.remove(resource as ResourceOfKind[Deletable]);
    return undefined;
  }

  /** The block without addresses that have cooled long enough. */
  collect(spec: IPAMBlockSpec): IPAMBlockSpec {
    return collectGarbage(spec, this.#cooldownMs, this.now());
  }

  #stored(resource: IPAMBlock): StoredBlock {
    const spec = this.collect(normalizeBlock(resource.spec));
    return { cidr: parsePrefix(spec.cidr), resource, spec };
  }
}

const maxPauseMs = 20;

/** Somebody else wrote first: look again. */
export function isRace(error: unknown): boolean {
  return (["conflict", "already-exists", "not-found"] as const).some((code) =>
    isDatastoreError(error, code),
  );
}
