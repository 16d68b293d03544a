import type { Kernel, KernelFailure, TrafficControl, WireguardDevices } from "../kernel.ts";
import { DryLinks } from "./dry-links.ts";
import { changeKey, type KernelChange } from "./kernel-change.ts";

/**
 * A kernel that is read and not written: what would be written is noted instead. Links that would be there, or
 * be gone, are told so to who asks: what is done about a device follows from that it was made.
 */
export class DryKernel implements Kernel {
  readonly #real: Kernel;
  readonly #changes = new Map<string, KernelChange>();
  readonly links: DryLinks;

  constructor(real: Kernel) {
    this.#real = real;
    this.links = new DryLinks(real.links, (change) => this.#note(change));
  }

  /** What would have been written, each once, in the order of the first time. */
  get changes(): readonly KernelChange[] {
    return [...this.#changes.values()];
  }

  #note(change: KernelChange): void {
    this.#changes.set(changeKey(change), change);
  }

  #noteAll<Entry>(
    entries: readonly Entry[],
    changeOf: (entry: Entry) => KernelChange,
  ): KernelFailure<Entry>[] {
    for (const entry of entries) this.#note(changeOf(entry));
    return [];
  }

  get routes(): Kernel["routes"] {
    const { list, lookup } = this.#real.routes;
    return {
      list,
      lookup,
      replace: async (routes) =>
        this.#noteAll(routes, (route) => ({ kind: "route", op: "set", route })),
      remove: async (routes) =>
        this.#noteAll(routes, (route) => ({ kind: "route", op: "remove", route })),
    };
  }

  get addresses(): Kernel["addresses"] {
    return {
      list: this.#real.addresses.list,
      add: async (address) => this.#note({ kind: "address", op: "set", address }),
      remove: async (address) => this.#note({ kind: "address", op: "remove", address }),
    };
  }

  get neighbors(): Kernel["neighbors"] {
    return {
      list: this.#real.neighbors.list,
      replace: async (neighbors) =>
        this.#noteAll(neighbors, (neighbor) => ({ kind: "neighbor", op: "set", neighbor })),
      remove: async (neighbors) =>
        this.#noteAll(neighbors, (neighbor) => ({ kind: "neighbor", op: "remove", neighbor })),
    };
  }

  get fdb(): Kernel["fdb"] {
    return {
      list: async (ifindex) =>
        this.links.isMade(ifindex) ? [] : await this.#real.fdb.list(ifindex),
      replace: async (entries) =>
        this.#noteAll(entries, (entry) => ({ kind: "fdb", op: "set", entry })),
      remove: async (entries) =>
        this.#noteAll(entries, (entry) => ({ kind: "fdb", op: "remove", entry })),
    };
  }

  get rules(): Kernel["rules"] {
    return {
      list: this.#real.rules.list,
      add: async (rule) => this.#note({ kind: "rule", op: "set", rule }),
      remove: async (rule) => this.#note({ kind: "rule", op: "remove", rule }),
    };
  }

  get traffic(): TrafficControl {
    const note = (change: Omit<Extract<KernelChange, { kind: "traffic" }>, "kind">) =>
      this.#note({ kind: "traffic", ...change });
    return {
      list: this.#real.traffic.list,
      limit: async (ifindex, bucket) => note({ ifindex, op: "limit", place: "root", bucket }),
      redirect: async (ifindex) => note({ ifindex, op: "redirect", place: "ingress" }),
      remove: async (ifindex, place) => note({ ifindex, op: "remove", place }),
    };
  }

  get wireguard(): WireguardDevices {
    return {
      get: async (ifindex) => {
        const present = this.links.isMade(ifindex)
          ? { ifindex, listenPort: 0, mark: 0, peers: [] }
          : await this.#real.wireguard.get(ifindex);
        // What key it would have nobody can tell; that it would have one decides what follows.
        const isRenewed = this.#changes.has(`wireguard ${ifindex} key`);
        return present && isRenewed ? { ...present, publicKey: "(new)" } : present;
      },
      set: async (ifindex, change) => this.#note({ kind: "wireguard", ifindex, change }),
      renewKey: async (ifindex) => this.#note({ kind: "wireguard", ifindex, change: "key" }),
      setPeers: async (ifindex, peers) =>
        this.#noteAll(peers, (peer) => ({ kind: "wireguardPeer", op: "set", ifindex, peer })),
      removePeers: async (ifindex, peers) =>
        this.#noteAll(peers, (peer) => ({ kind: "wireguardPeer", op: "remove", ifindex, peer })),
    };
  }

  indexOf(name: string): number | undefined {
    return this.#real.indexOf(name);
  }

  configure(): Promise<void> {
    return Promise.reject(new Error("Cannot set interfaces up: the kernel is only read"));
  }

  monitor(...args: Parameters<Kernel["monitor"]>): Promise<void> {
    return this.#real.monitor(...args);
  }

  /** The real one stays open: it is its owner's. */
  close(): void {
    this.#changes.clear();
  }
}
