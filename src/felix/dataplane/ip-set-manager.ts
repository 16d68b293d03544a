import type { DesiredSet } from "../../kernel/ipset/ip-sets.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import { hostPrefix, type Prefix, prefixFamily } from "../../lib/prefix.ts";
import type { ActiveIpSet, ActivePool, DataplaneUpdate, HostAddresses } from "../calc/updates.ts";
import { setName, staticSets } from "../rules/names.ts";

/**
 * IP sets of one family by kernel name: those that rules refer to, and the static ones that follow
 * from pools and nodes (facts 4.3).
 */
export class IpSetManager {
  readonly #family: IpFamily;
  readonly #active = new Map<string, ActiveIpSet>();
  readonly #pools = new Map<string, ActivePool>();
  readonly #hosts = new Map<string, HostAddresses>();
  readonly #dirty = new Set<string>();
  #staticDirty = true;

  constructor(family: IpFamily) {
    this.#family = family;
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind === "ipSet") {
      if (update.op === "set") this.#active.set(update.id, update.value);
      else this.#active.delete(update.id);
      this.#dirty.add(update.id);
    } else if (update.kind === "pool") {
      if (update.op === "set") this.#pools.set(update.id, update.value);
      else this.#pools.delete(update.id);
      this.#staticDirty = true;
    } else if (update.kind === "host") {
      if (update.op === "set") this.#hosts.set(update.id, update.value);
      else this.#hosts.delete(update.id);
      this.#staticDirty = true;
    }
  }

  /** A node's own address of this family. */
  hostAddress(node: string): IpAddr | undefined {
    const host = this.#hosts.get(node);
    return (this.#family === 4 ? host?.v4 : host?.v6)?.address;
  }

  /** Some pool of this family asks for NAT of what leaves the cluster. */
  get natOutgoing(): boolean {
    return this.#poolsOfFamily().some(({ natOutgoing }) => natOutgoing);
  }

  /** Some pool of this family is carried by VXLAN. */
  get usesVxlan(): boolean {
    return this.#poolsOfFamily().some(({ poolClass }) => poolClass === "vxlan");
  }

  /** Sets by kernel name that changed since the last call; undefined for those that are gone. */
  takeChanges(): Map<string, DesiredSet | undefined> {
    const changes = new Map<string, DesiredSet | undefined>();
    for (const id of this.#dirty) changes.set(this.#name(id), this.#active.get(id));
    this.#dirty.clear();
    if (this.#staticDirty) for (const [id, set] of this.#static()) changes.set(this.#name(id), set);
    this.#staticDirty = false;
    return changes;
  }

  #static(): [id: string, set: DesiredSet][] {
    const pools = this.#poolsOfFamily();
    const hosts = nets(this.#hostPrefixes());
    const masqueraded = pools.filter(({ natOutgoing }) => natOutgoing);
    return [
      [staticSets.masqueradedPools, nets(masqueraded.map(({ cidr }) => cidr))],
      [staticSets.allPools, nets(pools.map(({ cidr }) => cidr))],
      [staticSets.allHosts, hosts],
      [staticSets.allVxlan, hosts],
    ];
  }

  #name(id: string): string {
    return setName(id, this.#family);
  }

  #poolsOfFamily(): ActivePool[] {
    return [...this.#pools.values()].filter(({ cidr }) => prefixFamily(cidr) === this.#family);
  }

  #hostPrefixes(): Prefix[] {
    return [...this.#hosts.values()].flatMap((host) => {
      const end = this.#family === 4 ? host.v4 : host.v6;
      return end === undefined ? [] : [hostPrefix(end.address)];
    });
  }
}

function nets(members: readonly Prefix[]): DesiredSet {
  return { type: "hash:net", members: new Set(members) };
}
