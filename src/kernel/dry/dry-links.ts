import type { KernelLink, Links } from "../kernel.ts";
import type { KernelChange } from "./kernel-change.ts";

/** Of links that were not made, so that none is taken for another: beyond what a kernel gives. */
const firstIndex = 0x4000_0000;

type AddedLink = Pick<KernelLink, "name" | "type" | "mtu" | "mac" | "vxlan" | "sitLocal">;

/** The links of a kernel as they would be: what would be done to them is told to `note`. */
export class DryLinks implements Links {
  readonly #real: Links;
  readonly #note: (change: KernelChange) => void;
  readonly #made = new Map<string, KernelLink>();
  readonly #changed = new Map<number, Partial<KernelLink>>();
  readonly #removed = new Set<number>();
  #nextIndex = firstIndex;

  constructor(real: Links, note: (change: KernelChange) => void) {
    this.#real = real;
    this.#note = note;
  }

  /** True for a link that is not in the kernel. */
  isMade(ifindex: number): boolean {
    return ifindex >= firstIndex;
  }

  async list(): Promise<KernelLink[]> {
    const present = (await this.#real.list()).filter(({ ifindex }) => !this.#removed.has(ifindex));
    return [...present, ...this.#made.values()].map((link) => ({
      ...link,
      ...this.#changed.get(link.ifindex),
    }));
  }

  async get(nameOrIndex: string | number): Promise<KernelLink | undefined> {
    const links = await this.list();
    return links.find(({ name, ifindex }) => name === nameOrIndex || ifindex === nameOrIndex);
  }

  addVeth(): Promise<void> {
    return Promise.reject(new Error("Cannot add a veth: the kernel is only read"));
  }

  async addVxlan({ name, mac, mtu, ...vxlan }: Parameters<Links["addVxlan"]>[0]): Promise<void> {
    this.#add({ name, type: "vxlan", mac, mtu, vxlan });
  }

  async addIpip(name: string): Promise<void> {
    this.#add({ name, type: "ipip", mtu: 1480 });
  }

  async addIp6Tunnel(name: string, mtu: number): Promise<void> {
    this.#add({ name, type: "ip6tnl", mtu });
  }

  async addSit(name: string, { local, mtu }: Parameters<Links["addSit"]>[1]): Promise<void> {
    this.#add({ name, type: "sit", mtu, sitLocal: local });
  }

  async addTap(name: string): Promise<void> {
    this.#add({ name, type: "tun", mtu: 1500 });
  }

  async addBridge(name: string): Promise<void> {
    this.#add({ name, type: "bridge", mtu: 1500 });
  }

  async addWireguard(name: string, mtu: number): Promise<void> {
    this.#add({ name, type: "wireguard", mtu });
  }

  async addIfb(name: string, mtu: number): Promise<void> {
    this.#add({ name, type: "ifb", mtu });
  }

  async set(ifindex: number, change: Parameters<Links["set"]>[1]): Promise<void> {
    const link = await this.get(ifindex);
    if (link === undefined) throw new Error(`Cannot change link ${ifindex}: it is not there`);
    const { up, mtu, mac, name } = change;
    const told = Object.fromEntries(
      Object.entries({ up, mtu, mac, name }).filter(([, value]) => value !== undefined),
    ) as Partial<KernelLink>;
    const all = { ...this.#changed.get(ifindex), ...told };
    this.#changed.set(ifindex, all);
    if (this.isMade(ifindex)) return;
    const present = (await this.#real.list()).find((one) => one.ifindex === ifindex);
    this.#note({ kind: "link", op: "set", link: present ?? link, change: all });
  }

  offloadsChecksum(name: string): Promise<boolean> {
    return this.#made.has(name) ? Promise.resolve(false) : this.#real.offloadsChecksum(name);
  }

  async setChecksumOffload(name: string, on: boolean): Promise<void> {
    this.#note({ kind: "checksum", name, on });
  }

  async remove(ifindex: number): Promise<void> {
    const link = await this.get(ifindex);
    if (link === undefined) return;
    this.#removed.add(ifindex);
    this.#note({ kind: "link", op: "remove", link });
  }

  #add(added: AddedLink): void {
    const link = { ...added, ifindex: this.#nextIndex++, up: false, running: false };
    this.#made.set(added.name, link);
    this.#note({ kind: "link", op: "add", link });
  }
}
