import { type EndpointSlice, serviceNameLabel } from "../../api/resources/kubernetes.ts";
import { getOrCreate } from "../../lib/collections.ts";
import { isIpAddr, parseIpAddr } from "../../lib/ip-addr.ts";
import { hostPrefix, prefixAddress } from "../../lib/prefix.ts";
import { type Slice, unlimited } from "../../lib/time-slice.ts";
import { CountedMembers } from "./counted-members.ts";
import { LabelIndex, type LabelIndexSizes, type Labels } from "./label-index.ts";
import { portProtocol, protocolOf, type SetSource } from "./rule-scanner.ts";
import type { Selectable } from "./selectable.ts";
import type { ActiveIpSet, DataplaneUpdate } from "./updates.ts";

type SelectorSource = Exclude<SetSource, { readonly kind: "service" }>;

const manyNets = 100;

interface IpSet {
  readonly source: SetSource;
  references: number;
  readonly members: CountedMembers;
}

/**
 * Members of every IP set that an active rule refers to: addresses of the endpoints and network sets
 * of the whole cluster that its selector selects, their addresses with a named port, or the addresses
 * behind a service.
 */
export class IpSetMembers {
  readonly #index: LabelIndex;
  readonly #sets = new Map<string, IpSet>();
  readonly #selectables = new Map<string, Selectable>();
  readonly #slices = new Map<string, EndpointSlice>();
  /** Ids of slices by service: "<namespace>/<name>". */
  readonly #slicesOfService = new Map<string, Set<string>>();
  readonly #setsOfService = new Map<string, Set<string>>();
  readonly #emit: (update: DataplaneUpdate) => void;
  readonly #dirty = new Set<string>();
  /** By set: who may give other members than the set counts now. */
  readonly #waiting = new Map<string, Set<string>>();

  constructor(emit: (update: DataplaneUpdate) => void) {
    this.#emit = emit;
    this.#index = new LabelIndex((setId, id, matches) => this.#changed(setId, id, matches));
  }

  get indexSizes(): LabelIndexSizes {
    return this.#index.sizes;
  }

  addReference(id: string, source: SetSource): void {
    const known = this.#sets.get(id);
    if (known !== undefined) {
      known.references++;
      return;
    }
    this.#sets.set(id, { source, references: 1, members: new CountedMembers() });
    this.#dirty.add(id);
    if (source.kind === "service") {
      getOrCreate(this.#setsOfService, source.service, () => new Set()).add(id);
      for (const slice of this.#slicesOfService.get(source.service) ?? []) {
        this.#mark(id, slice);
      }
    } else this.#index.setSelector(id, source.selector);
  }

  removeReference(id: string): void {
    const set = this.#sets.get(id);
    if (set === undefined || --set.references > 0) return;
    if (set.source.kind === "service") forget(this.#setsOfService, set.source.service, id);
    else this.#index.removeSelector(id);
    this.#sets.delete(id);
    this.#waiting.delete(id);
    this.#dirty.add(id);
  }

  setSelectable(id: string, selectable: Selectable | null, labels: Labels): void {
    if (selectable === null) {
      this.#index.removeItem(id);
      this.#selectables.delete(id);
      return;
    }
    const before = this.#selectables.get(id);
    this.#selectables.set(id, selectable);
    this.#index.setItem(id, labels);
    // The index tells of new matches; of what matched before, only the addresses and ports may differ.
    if (before === undefined || sameContent(before, selectable)) return;
    for (const setId of this.#index.selectorsOf(id)) this.#changed(setId, id, true);
  }

  setEndpointSlice(id: string, slice: EndpointSlice | null): void {
    const before = serviceOf(this.#slices.get(id));
    const after = serviceOf(slice);
    if (before !== undefined) forget(this.#slicesOfService, before, id);
    if (slice === null) this.#slices.delete(id);
    else this.#slices.set(id, slice);
    if (after !== undefined) getOrCreate(this.#slicesOfService, after, () => new Set()).add(id);
    for (const service of new Set([before, after])) {
      for (const setId of this.#setsOfService.get(service ?? "") ?? []) this.#mark(setId, id);
    }
  }

  /**
   * Finds and counts members: sets of a million are not counted in one turn of the event loop.
   *
   * @returns whether none are left.
   */
  work(slice: Slice): boolean {
    if (!this.#index.work(slice)) return false;
    for (const [setId, givers] of this.#waiting) {
      for (const giver of givers) {
        givers.delete(giver);
        this.#give(setId, giver);
        if (slice.isOver) return false;
      }
      this.#waiting.delete(setId);
    }
    return true;
  }

  /** Tells the sets that changed since the last flush. */
  flush(): void {
    this.work(unlimited);
    for (const id of this.#dirty) {
      const set = this.#sets.get(id);
      if (set === undefined) this.#emit({ op: "remove", kind: "ipSet", id });
      else this.#tell(id, set);
    }
    this.#dirty.clear();
  }

  /** A pod gives a few members: at once. A network set of thousands has a turn for each of its sets. */
  #changed(setId: string, id: string, matches: boolean): void {
    const selectable = this.#selectables.get(id);
    const set = this.#sets.get(setId);
    if (set?.source.kind === "service" || (selectable?.nets.length ?? 0) > manyNets) {
      this.#mark(setId, id);
    } else if (set !== undefined) {
      const given = matches && selectable !== undefined ? membersOf(set.source, selectable) : [];
      set.members.give(id, given);
      this.#dirty.add(setId);
    }
  }

  #mark(setId: string, giver: string): void {
    getOrCreate(this.#waiting, setId, () => new Set()).add(giver);
  }

  #tell(id: string, { source, members }: IpSet): void {
    const update = members.takeUpdate();
    if (update?.op === "change") {
      this.#emit({ op: "change", kind: "ipSet", id, value: update.change });
    } else if (update !== undefined) {
      const value = { type: setType(source), members: update.members };
      this.#emit({ op: "set", kind: "ipSet", id, value });
    }
  }

  #give(setId: string, giver: string): void {
    const set = this.#sets.get(setId);
    if (set === undefined) return;
    set.members.give(giver, this.#membersOf(setId, set.source, giver));
    this.#dirty.add(setId);
  }

  #membersOf(setId: string, source: SetSource, giver: string): readonly string[] {
    if (source.kind === "service") {
      const slice = this.#slices.get(giver);
      const ours = slice !== undefined && serviceOf(slice) === source.service;
      return ours ? sliceMembers(slice, source.withPorts) : [];
    }
    const selectable = this.#selectables.get(giver);
    const selected = selectable !== undefined && this.#index.isMatch(setId, giver);
    return selected ? membersOf(source, selectable) : [];
  }
}

function sameContent(a: Selectable, b: Selectable): boolean {
  const sameList = <Item>(left: readonly Item[], right: readonly Item[]) =>
    left.length === right.length && left.every((item, i) => item === right[i]);
  const portTexts = ({ ports }: Selectable) => ports.map((port) => JSON.stringify(port));
  return sameList(a.nets, b.nets) && sameList(portTexts(a), portTexts(b));
}

function setType(source: SetSource): ActiveIpSet["type"] {
  const withPorts = source.kind === "namedPort" || (source.kind === "service" && source.withPorts);
  return withPorts ? "hash:ip,port" : "hash:net";
}

function membersOf(source: SelectorSource, { nets, ports }: Selectable): readonly string[] {
  if (source.kind === "selector") return nets;
  const wanted = ports.filter(
    ({ name, protocol }) =>
      name === source.port && portProtocol(protocolOf(protocol)) === source.protocol,
  );
  return nets.flatMap((net) =>
    wanted.map(({ port }) => `${prefixAddress(net)},${source.protocol}:${port}`),
  );
}

/** "<namespace>/<name>" of the service that a slice is of. */
function serviceOf(slice: EndpointSlice | null | undefined): string | undefined {
  const name = slice?.metadata.labels?.[serviceNameLabel];
  return name === undefined ? undefined : `${slice?.metadata.namespace ?? "default"}/${name}`;
}

/** Endpoints that are not ready count too, as in Calico; a port without a number gives nothing. */
function sliceMembers({ endpoints = [], ports = [] }: EndpointSlice, withPorts: boolean): string[] {
  const addresses = endpoints
    .flatMap(({ addresses: texts = [] }) => texts)
    .filter(isIpAddr)
    .map(parseIpAddr);
  if (!withPorts) return addresses.map(hostPrefix);
  const suffixes = ports.flatMap(({ protocol = "TCP", port }) => {
    const name = portProtocol(protocolOf(protocol));
    return name === undefined || typeof port !== "number" ? [] : [`${name}:${port}`];
  });
  return addresses.flatMap((address) => suffixes.map((suffix) => `${address},${suffix}`));
}

function forget(index: Map<string, Set<string>>, key: string, id: string): void {
  const ids = index.get(key);
  ids?.delete(id);
  if (ids?.size === 0) index.delete(key);
}
