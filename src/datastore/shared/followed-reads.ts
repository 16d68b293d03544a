import { keyOf, keyText, type ResourceKey } from "../../api/resource-key.ts";
import type { AnyResource, Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import type { Clock } from "../../lib/clock.ts";
import { aborted } from "../../lib/service.ts";
import type { Datastore, ListOptions, ResourceList } from "../datastore.ts";
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

/**
 * Reads of kinds that are followed anyway, from their copy: as old as what the datastore has told so far, but never
 * from before a create or an update that went through here. The datastore is asked where the copy is not current.
 */
export class FollowedReads implements Pick<Datastore, "get" | "list" | "create" | "update"> {
  readonly #ports: Ports;
  /** Writes that the copy may not know of yet, by key. */
  readonly #unsure = new Map<string, { readonly key: ResourceKey; readonly knows: Knows }>();

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  async get<K extends Kind>(key: ResourceKey<K>): Promise<ResourceOfKind[K]> {
    const { datastore, feed } = this.#ports;
    if (!(await this.#isSure(key.kind))) return await datastore.get(key);
    const found = feed.find(key);
    if (found === undefined) throw objectRefused("not-found", key);
    return found as ResourceOfKind[K];
  }

  async list<K extends Kind>(
    kind: K,
    options?: ListOptions,
  ): Promise<ResourceList<ResourceOfKind[K]>> {
    const { datastore, feed } = this.#ports;
    // A watch goes on from a list of the datastore's.
    if (!(await this.#isSure(kind))) return await datastore.list(kind, options);
    return { items: inOrder(feed.objects(kind) as ResourceOfKind[K][]), revision: "0" };
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
