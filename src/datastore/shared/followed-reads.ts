import { keyOf, keyText, type ResourceKey } from "../../api/resource-key.ts";
import type { AnyResource, Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import type { Clock } from "../../lib/clock.ts";
import { aborted } from "../../lib/service.ts";
import { type Datastore, type ListOptions, type ResourceList, unlessAbsent } from "../datastore.ts";
import { inOrder, objectRefused } from "../stored-metadata.ts";
import type { SharedFeed } from "./shared-feed.ts";

/** The copy is waited for this long after a write of ours. */
const patienceMs = 1_000;

interface Ports {
  readonly datastore: Datastore;
  readonly feed: SharedFeed;
  readonly clock: Clock;
}

/** Whether a copy knows of a write: told its object there, undefined when it has none. */
type Knows = (object: AnyResource | undefined) => boolean;

interface Unsure {
  readonly key: ResourceKey;
  readonly knows: Knows;
}

/**
 * Reads of kinds that are followed anyway, from their copy: as old as what the datastore has told so far, but never
 * from before a create or an update that went through here. The datastore is asked where the copy is not current.
 */
export class FollowedReads implements Pick<Datastore, "get" | "list" | "create" | "update"> {
  readonly #ports: Ports;
  /** Writes that the copy may not know of yet, by key. */
  readonly #unsure = new Map<string, Unsure>();

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  async get<K extends Kind>(key: ResourceKey<K>): Promise<ResourceOfKind[K]> {
    const { feed } = this.#ports;
    const found = (await this.#isSure(key.kind)) ? feed.find(key) : await this.#ask(key);
    if (found === undefined) throw objectRefused("not-found", key);
    return found as ResourceOfKind[K];
  }

  async list<K extends Kind>(
    kind: K,
    options?: ListOptions,
  ): Promise<ResourceList<ResourceOfKind[K]>> {
    const { datastore, feed } = this.#ports;
    // A watch goes on from a list of the datastore's.
    if (await this.#isSure(kind)) {
      return { items: inOrder(feed.objects(kind) as ResourceOfKind[K][]), revision: "0" };
    }
    const writes = [...this.#unsure].filter(([, { key }]) => key.kind === kind);
    const list = await datastore.list(kind, options);
    const answers = new Map(list.items.map((each) => [keyText(keyOf(each as AnyResource)), each]));
    for (const [text, write] of writes) this.#settle(write, answers.get(text));
    return list;
  }

  create<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    const write = () => this.#ports.datastore.create<K>(resource);
    return this.#write(resource, write, (object) => object !== undefined);
  }

  update<K extends Kind>(resource: ResourceOfKind[K]): Promise<ResourceOfKind[K]> {
    const { resourceVersion } = resource.metadata;
    const write = () => this.#ports.datastore.update<K>(resource);
    return this.#write(
      resource,
      write,
      (object) => object?.metadata.resourceVersion !== resourceVersion,
    );
  }

  /** `knowsFailure`: the copy has what a write that failed was not of. */
  async #write<K extends Kind>(
    resource: ResourceOfKind[K],
    write: () => Promise<ResourceOfKind[K]>,
    knowsFailure: Knows,
  ): Promise<ResourceOfKind[K]> {
    if (!this.#ports.feed.has(resource.kind)) return await write();
    const key = keyOf(resource);
    try {
      const written = await write();
      const knows: Knows = (object) => !isOlder(object, written);
      this.#unsure.set(keyText(key), { key, knows });
      return written;
    } catch (error) {
      this.#unsure.set(keyText(key), { key, knows: knowsFailure });
      throw error;
    }
  }

  async #ask(key: ResourceKey): Promise<AnyResource | undefined> {
    const write = this.#unsure.get(keyText(key));
    const answer = await unlessAbsent(this.#ports.datastore.get(key));
    if (write !== undefined) this.#settle(write, answer);
    return answer;
  }

  /** A copy that says what the datastore says lacks no write: one that failed, or whose object went again. */
  #settle(write: Unsure, answer: AnyResource | undefined): void {
    const text = keyText(write.key);
    const copied = this.#ports.feed.find(write.key)?.metadata.resourceVersion;
    const isSame = copied === answer?.metadata.resourceVersion;
    if (isSame && this.#unsure.get(text) === write) this.#unsure.delete(text);
  }

  /** The copy of a kind is current, and has what was written here. */
  async #isSure(kind: Kind): Promise<boolean> {
    const { feed, clock } = this.#ports;
    if (!feed.has(kind)) return false;
    while (!feed.hasBegun) await feed.changed;
    const late = new AbortController();
    const cancel = clock.setTimer(patienceMs, () => late.abort());
    const over = aborted(late.signal);
    try {
      while (feed.isCurrent && !late.signal.aborted) {
        if (this.#knowsAll(kind)) return true;
        await Promise.race([over, feed.changed]);
      }
      return false;
    } finally {
      cancel();
    }
  }

  #knowsAll(kind: Kind): boolean {
    for (const [text, { key, knows }] of this.#unsure) {
      if (knows(this.#ports.feed.find(key))) this.#unsure.delete(text);
      else if (key.kind === kind) return false;
    }
    return true;
  }
}

/** Versions of one object are numbers that grow. */
function isOlder(object: AnyResource | undefined, written: ResourceOfKind[Kind]): boolean {
  if (object === undefined) return true;
  const { resourceVersion: copied = "0" } = object.metadata;
  return BigInt(copied) < BigInt(written.metadata.resourceVersion ?? "0");
}
