import type { WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import { getOrCreate } from "../../lib/collections.ts";
import { parseInterfaceAddress, prefixOf } from "../../lib/prefix.ts";
import { LabelIndex, type Labels } from "./label-index.ts";
import { portProtocol, protocolOf, type SetSource } from "./rule-scanner.ts";
import type { ActiveIpSet } from "./updates.ts";

interface IpSet {
  readonly source: SetSource;
  references: number;
  /** How many endpoints give each member. */
  readonly members: Map<string, number>;
  /** Members that each endpoint gave, so that they can be taken back. */
  readonly given: Map<string, readonly string[]>;
}

/**
 * Members of every IP set that an active rule refers to: addresses of the endpoints of the whole
 * cluster that its selector selects, or their addresses with a named port.
 */
export class IpSetMembers {
  readonly #index: LabelIndex;
  readonly #sets = new Map<string, IpSet>();
  readonly #endpoints = new Map<string, WorkloadEndpoint>();
  readonly #onChange: (id: string, set: ActiveIpSet | null) => void;
  readonly #dirty = new Set<string>();

  constructor(onChange: (id: string, set: ActiveIpSet | null) => void) {
    this.#onChange = onChange;
    this.#index = new LabelIndex((setId, endpointId, matches) => {
      if (matches) this.#give(setId, endpointId);
      else this.#take(setId, endpointId);
    });
  }

  addReference(id: string, source: SetSource): void {
    const known = this.#sets.get(id);
    if (known !== undefined) {
      known.references++;
      return;
    }
    this.#sets.set(id, { source, references: 1, members: new Map(), given: new Map() });
    this.#dirty.add(id);
    this.#index.setSelector(id, source.selector);
  }

  removeReference(id: string): void {
    const set = this.#sets.get(id);
    if (set === undefined || --set.references > 0) return;
    this.#index.removeSelector(id);
    this.#sets.delete(id);
    this.#dirty.add(id);
  }

  setEndpoint(id: string, endpoint: WorkloadEndpoint | null, labels: Labels): void {
    if (endpoint === null) {
      this.#index.removeItem(id);
      this.#endpoints.delete(id);
      return;
    }
    this.#endpoints.set(id, endpoint);
    this.#index.setItem(id, labels);
    for (const setId of this.#index.selectorsOf(id)) this.#renew(setId, id);
  }

  /** Tells the sets that changed since the last flush. */
  flush(): void {
    for (const id of this.#dirty) {
      const set = this.#sets.get(id);
      if (set === undefined) this.#onChange(id, null);
      else {
        const type = set.source.kind === "selector" ? "hash:net" : "hash:ip,port";
        this.#onChange(id, { type, members: new Set(set.members.keys()) });
      }
    }
    this.#dirty.clear();
  }

  /** Addresses or ports may have changed under the same labels; mostly they have not. */
  #renew(setId: string, endpointId: string): void {
    const set = this.#sets.get(setId);
    const endpoint = this.#endpoints.get(endpointId);
    if (set === undefined || endpoint === undefined) return;
    const members = membersOf(set.source, endpoint).join(" ");
    if (set.given.get(endpointId)?.join(" ") === members) return;
    this.#take(setId, endpointId);
    this.#give(setId, endpointId);
  }

  #give(setId: string, endpointId: string): void {
    const set = this.#sets.get(setId);
    const endpoint = this.#endpoints.get(endpointId);
    if (set === undefined || endpoint === undefined || set.given.has(endpointId)) return;
    const members = membersOf(set.source, endpoint);
    set.given.set(endpointId, members);
    for (const member of members) {
      const count = getOrCreate(set.members, member, () => 0);
      if (count === 0) this.#dirty.add(setId);
      set.members.set(member, count + 1);
    }
  }

  #take(setId: string, endpointId: string): void {
    const set = this.#sets.get(setId);
    for (const member of set?.given.get(endpointId) ?? []) {
      const count = (set?.members.get(member) ?? 1) - 1;
      if (count > 0) set?.members.set(member, count);
      else {
        set?.members.delete(member);
        this.#dirty.add(setId);
      }
    }
    set?.given.delete(endpointId);
  }
}

function membersOf(source: SetSource, { spec }: WorkloadEndpoint): string[] {
  const nets = (spec.ipNetworks ?? []).map(parseInterfaceAddress);
  if (source.kind === "selector")
    return nets.map(({ address, length }) => prefixOf(address, length));
  const ports = (spec.ports ?? []).filter(
    ({ name, protocol }) =>
      name === source.port && portProtocol(protocolOf(protocol)) === source.protocol,
  );
  return nets.flatMap(({ address }) =>
    ports.map(({ port }) => `${address},${source.protocol}:${port}`),
  );
}
