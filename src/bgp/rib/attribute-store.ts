import { invariant } from "../../lib/brand.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { AsPathSegment, PathAttributes } from "../wire/message.ts";

/** Attributes with their next hop, kept once however many routes carry them. */
export interface InternedAttributes {
  /** From 1. */
  readonly id: number;
  readonly attributes: PathAttributes;
  /** Absent on what we originate ourselves. */
  readonly nextHop: IpAddr | undefined;
  /** As the decision process counts: a set is one, confederations none (RFC 5065 section 5.3). */
  readonly asPathLength: number;
  /** First AS of the path, 0 when it is empty or begins with a set (RFC 4271 section 9.1.2.2 c). */
  readonly neighborAs: number;
}

interface Entry {
  readonly interned: InternedAttributes;
  readonly key: string;
  references: number;
}

/**
 * Every attribute set that a RIB refers to, by id. The RIBs count references, so an id stays what
 * it is for as long as one of them has it.
 */
export class AttributeStore {
  readonly #byKey = new Map<string, Entry>();
  readonly #byId: (Entry | undefined)[] = [undefined];
  readonly #free: number[] = [];

  get size(): number {
    return this.#byKey.size;
  }

  /** Id of the attributes, with one more reference, which the caller gives back by `release`. */
  intern(attributes: PathAttributes, nextHop: IpAddr | undefined): number {
    const key = attributesKey(attributes, nextHop);
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      known.references++;
      return known.interned.id;
    }
    const id = this.#free.pop() ?? this.#byId.length;
    const asPathLength = pathLength(attributes.asPath);
    const neighborAs = firstAs(attributes.asPath);
    const interned = { id, attributes, nextHop, asPathLength, neighborAs };
    const entry = { interned, key, references: 1 };
    this.#byId[id] = entry;
    this.#byKey.set(key, entry);
    return id;
  }

  get(id: number): InternedAttributes {
    return this.#entry(id).interned;
  }

  retain(id: number): void {
    this.#entry(id).references++;
  }

  release(id: number): void {
    const entry = this.#entry(id);
    if (--entry.references > 0) return;
    this.#byKey.delete(entry.key);
    this.#byId[id] = undefined;
    this.#free.push(id);
  }

  #entry(id: number): Entry {
    const entry = this.#byId[id];
    invariant(entry !== undefined, `attributes ${id} are referred to`);
    return entry;
  }
}

/** Text that is equal for equal attributes, whatever the order of the object's fields. */
function attributesKey(a: PathAttributes, nextHop: IpAddr | undefined): string {
  return JSON.stringify([
    nextHop,
    a.origin,
    a.asPath.map(({ kind, asns }) => [kind, ...asns]),
    a.med,
    a.localPref,
    a.atomicAggregate,
    a.aggregator === undefined ? undefined : [a.aggregator.asn, a.aggregator.address],
    a.communities,
    a.largeCommunities,
    a.extendedCommunities?.map(hex),
    a.originatorId,
    a.clusterList,
    a.unknown?.map(({ flags, code, value }) => [flags, code, hex(value)]),
  ]);
}

function hex(bytes: Uint8Array): string {
  return bytes.reduce((text, octet) => text + octet.toString(16).padStart(2, "0"), "");
}

function pathLength(segments: readonly AsPathSegment[]): number {
  let length = 0;
  for (const { kind, asns } of segments) {
    if (kind === "sequence") length += asns.length;
    else if (kind === "set") length += 1;
  }
  return length;
}

function firstAs(segments: readonly AsPathSegment[]): number {
  const first = segments.find(({ kind }) => kind === "sequence" || kind === "set");
  return first?.kind === "sequence" ? (first.asns[0] ?? 0) : 0;
}
