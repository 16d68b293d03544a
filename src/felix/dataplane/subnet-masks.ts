import type { IpFamily } from "../../lib/ip-addr.ts";
import { type InterfaceAddress, prefixHasAddress, prefixOf } from "../../lib/prefix.ts";
import type { DataplaneUpdate, HostAddresses } from "../calc/updates.ts";

/** Two nodes of which one sends directly, and the other through the tunnel. */
export interface UnequalMasks {
  readonly node: string;
  /** "192.168.1.12/25" */
  readonly address: string;
  readonly own: string;
}

/**
 * In a CrossSubnet pool each node decides by its own mask whether another is in its subnet (facts 4.15).
 * Where masks differ the two may disagree, and firewalls that know one way only drop what comes back.
 */
export class SubnetMasks {
  readonly #nodeName: string;
  readonly #hosts = new Map<string, HostAddresses>();
  readonly #crossSubnetPools = new Set<string>();
  readonly #told = new Set<string>();
  #isDirty = false;

  constructor(nodeName: string) {
    this.#nodeName = nodeName;
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind === "host") {
      if (update.op === "set") this.#hosts.set(update.id, update.value);
      else this.#hosts.delete(update.id);
      this.#isDirty = true;
    } else if (update.kind === "pool") {
      if (update.op === "set" && update.value.crossSubnet) this.#crossSubnetPools.add(update.id);
      else this.#crossSubnetPools.delete(update.id);
      this.#isDirty = true;
    }
  }

  /** Nodes that disagree with this one since the last call. Each pair of addresses is told once. */
  news(): readonly UnequalMasks[] {
    if (!this.#isDirty) return [];
    this.#isDirty = false;
    if (this.#crossSubnetPools.size === 0) return [];
    const all = ([4, 6] as const).flatMap((family) => this.#unequal(family));
    const fresh = all.filter((each) => !this.#told.has(JSON.stringify(each)));
    for (const each of fresh) this.#told.add(JSON.stringify(each));
    return fresh;
  }

  #unequal(family: IpFamily): UnequalMasks[] {
    const field = family === 4 ? "v4" : "v6";
    const own = this.#hosts.get(this.#nodeName)?.[field];
    if (own === undefined) return [];
    return [...this.#hosts].flatMap(([node, { [field]: address }]) =>
      address === undefined || contains(own, address) === contains(address, own)
        ? []
        : { node, address: textOf(address), own: textOf(own) },
    );
  }
}

function contains(one: InterfaceAddress, other: InterfaceAddress): boolean {
  return prefixHasAddress(prefixOf(one.address, one.length), other.address);
}

function textOf({ address, length }: InterfaceAddress): string {
  return `${address}/${length}`;
}
