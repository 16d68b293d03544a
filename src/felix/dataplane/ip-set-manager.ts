import { isDeepStrictEqual } from "node:util";
import type { DesiredSet, SetChange } from "../../kernel/ipset/ip-set.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import { hostPrefix, type Prefix, prefixFamily } from "../../lib/prefix.ts";
import type { ActivePool, DataplaneUpdate, HostAddresses, PoolClass } from "../calc/updates.ts";
import type { FelixConfig } from "../config/felix-config.ts";
import { setName, staticSets } from "../rules/names.ts";

/** What the kernel's sets shall be, by kernel name: IpSets is one. */
export interface DesiredSets {
  set(name: string, set: DesiredSet): void;
  change(name: string, change: SetChange): void;
  delete(name: string): void;
}

export type TunnelClass = Exclude<PoolClass, "none" | "noEncap">;

export type SetsConfig = Pick<
  FelixConfig,
  "externalNodes" | "maxIpSetSize" | "vxlanEnabled" | "ipipEnabled"
>;

/**
 * IP sets of one family: those that rules refer to, and the static ones that follow from pools,
 * nodes, pods and the host's own addresses (facts 4.3).
 */
export class IpSetManager {
  readonly #family: IpFamily;
  readonly #sets: DesiredSets;
  readonly #config: SetsConfig;
  readonly #pools = new Map<string, ActivePool>();
  readonly #hosts = new Map<string, HostAddresses>();
  #localAddresses: readonly IpAddr[] = [];
  #dscpSources: readonly IpAddr[] = [];
  #staticDirty = true;

  constructor(family: IpFamily, sets: DesiredSets, config: SetsConfig) {
    this.#family = family;
    this.#sets = sets;
    this.#config = config;
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind === "ipSet") {
      const name = this.#name(update.id);
      if (update.op === "set") this.#set(name, update.value);
      else if (update.op === "change") this.#sets.change(name, update.value);
      else this.#sets.delete(name);
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

  /** Addresses of the host's own interfaces, of both families. */
  set localAddresses(addresses: readonly IpAddr[]) {
    const own = addresses.filter((address) => ipFamily(address) === this.#family).sort();
    if (isDeepStrictEqual(own, this.#localAddresses)) return;
    this.#localAddresses = own;
    this.#staticDirty = true;
  }

  /** Addresses of this family of pods that ask for a code point, sorted. */
  set dscpSources(addresses: readonly IpAddr[]) {
    if (isDeepStrictEqual(addresses, this.#dscpSources)) return;
    this.#dscpSources = addresses;
    this.#staticDirty = true;
  }

  isLocalAddress(address: IpAddr): boolean {
    return this.#localAddresses.includes(address);
  }

  /** Some pool of this family asks for NAT of what leaves the cluster. */
  get natOutgoing(): boolean {
    return this.#poolsOfFamily().some(({ natOutgoing }) => natOutgoing);
  }

  /** Some pool of this family is carried by this encapsulation, or the configuration says that one is. */
  uses(encapsulation: TunnelClass): boolean {
    const pools = this.#poolsOfFamily();
    return this.#told(encapsulation) ?? pools.some(({ poolClass }) => poolClass === encapsulation);
  }

  /** The configuration says that there is no such encapsulation. */
  forbids(encapsulation: "vxlan" | "ipip"): boolean {
    return this.#told(encapsulation) === false;
  }

  #told(encapsulation: TunnelClass): boolean | undefined {
    if (this.#family === 6) return undefined;
    if (encapsulation === "vxlan") return this.#config.vxlanEnabled;
    return encapsulation === "ipip" ? this.#config.ipipEnabled : undefined;
  }

  /** Makes the static sets anew when what they follow from changed. */
  refreshStatic(): void {
    if (!this.#staticDirty) return;
    this.#staticDirty = false;
    for (const [id, set] of this.#static()) this.#set(this.#name(id), set);
  }

  #static(): [id: string, set: DesiredSet][] {
    const pools = this.#poolsOfFamily();
    const external = this.#config.externalNodes.filter((net) => prefixFamily(net) === this.#family);
    const hosts = nets([...this.#hostPrefixes(), ...external]);
    const masqueraded = pools.filter(({ natOutgoing }) => natOutgoing);
    return [
      [staticSets.masqueradedPools, nets(masqueraded.map(({ cidr }) => cidr))],
      [staticSets.allPools, nets(pools.map(({ cidr }) => cidr))],
      [staticSets.allHosts, hosts],
      [staticSets.allVxlan, hosts],
      [staticSets.thisHost, { type: "hash:ip", members: new Set(this.#localAddresses) }],
      [staticSets.dscpSources, nets(this.#dscpSources.map(hostPrefix))],
    ];
  }

  #set(name: string, set: DesiredSet): void {
    this.#sets.set(name, { ...set, maxElements: this.#config.maxIpSetSize });
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
