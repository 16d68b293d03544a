import { IpSets } from "../../kernel/ipset/ip-sets.ts";
import type { TableMemory } from "../../kernel/iptables/table-memory.ts";
import type { Kernel, KernelLink } from "../../kernel/kernel.ts";
import { ipSetPrefixes } from "../../kernel/ownership.ts";
import type { InputError } from "../../lib/errors.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { DataplaneUpdate } from "../calc/updates.ts";
import type { FelixConfig } from "../config/felix-config.ts";
import type { Refreshed } from "../refresh-timers.ts";
import type { RulesConfig } from "../rules/rules-config.ts";
import type { DataplanePorts } from "./dataplane.ts";
import { IpSetManager } from "./ip-set-manager.ts";
import { IpipManager } from "./ipip-manager.ts";
import type { KernelLinks } from "./kernel-links.ts";
import { type RuleParts, RuleSet } from "./rule-set.ts";
import { RuleTables } from "./rule-tables.ts";
import { VxlanManager } from "./vxlan-manager.ts";

export type KernelSets = Pick<
  IpSets,
  "set" | "change" | "delete" | "apply" | "destroyUnused" | "resync" | "close" | "desiredNames"
>;

/** What there is once for IPv4 and once for IPv6: sets, rules and the tunnel devices. */
export class FamilyPart {
  readonly family: IpFamily;
  readonly setManager: IpSetManager;
  readonly rules: RuleTables;
  readonly vxlan: VxlanManager;
  /** Of IPv4 alone: there is no IPIP of IPv6. */
  readonly ipip: IpipManager | undefined;
  readonly #ruleSet: RuleSet;
  readonly #nodeName: string;
  readonly #sets: KernelSets;
  #vxlanLink: KernelLink | undefined;
  #ipipLink: KernelLink | undefined;
  #serviceCidrs: readonly Prefix[] = [];

  constructor(
    family: IpFamily,
    of: {
      readonly nodeName: string;
      readonly config: FelixConfig;
      readonly ports: DataplanePorts;
      readonly memory: TableMemory;
    },
  ) {
    const { nodeName, config, ports, memory } = of;
    this.family = family;
    this.#ruleSet = new RuleSet(family);
    this.#nodeName = nodeName;
    this.#sets = ports.openSets?.(family) ?? new IpSets(family, ipSetPrefixes[family]);
    this.setManager = new IpSetManager(family, this.#sets, config);
    this.rules = new RuleTables(
      {
        family,
        backend: ports.backend,
        insertMode: config.chainInsertMode,
        lockProbeMs: config.iptablesLockProbeMs,
      },
      { exec: ports.exec, memory },
    );
    this.vxlan = new VxlanManager(family, nodeName, config);
    this.ipip = family === 4 ? new IpipManager(nodeName, config) : undefined;
  }

  /** The VXLAN device, once it is there. */
  get vxlanLink(): KernelLink | undefined {
    return this.#vxlanLink;
  }

  /** The IPIP device, once it has its address. */
  get ipipLink(): KernelLink | undefined {
    return this.#ipipLink;
  }

  ownsDevice(name: string): boolean {
    return name === this.vxlan.deviceName || name === this.ipip?.deviceName;
  }

  get setCount(): number {
    return this.#sets.desiredNames().length;
  }

  close(): void {
    this.#sets.close();
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind === "serviceCidrs") {
      this.#serviceCidrs = update.op === "set" ? update.value : [];
    }
    this.setManager.onUpdate(update);
    this.vxlan.onUpdate(update);
    this.ipip?.onUpdate(update);
  }

  /** The node's own address or a tunnel's. */
  isOwnAddress(address: IpAddr): boolean {
    return (
      address === this.setManager.hostAddress(this.#nodeName) ||
      address === this.vxlan.local()?.tunnelAddress ||
      address === this.ipip?.address
    );
  }

  resync(what?: ReadonlySet<Refreshed>): void {
    if (what?.has("ipSets") !== false) this.#sets.resync();
    if (what?.has("iptables") === false) return;
    for (const table of this.rules.tables) table.invalidate();
  }

  /** @returns whether a device is another than before, or there at last, or gone. */
  async applyDevices(
    parent: KernelLink | undefined,
    ports: { readonly kernel: Kernel; readonly links: KernelLinks },
  ): Promise<boolean> {
    const before = [this.#vxlanLink?.ifindex, this.#ipipLink?.ifindex];
    const { setManager } = this;
    const failures: unknown[] = [];
    const note = (error: unknown) => void failures.push(error);
    await this.vxlan.applyDevice(setManager.uses("vxlan"), parent, ports).then((link) => {
      this.#vxlanLink = link;
    }, note);
    await this.ipip?.applyDevice(setManager.uses("ipip"), parent, ports).then((link) => {
      this.#ipipLink = link;
    }, note);
    if (failures.length > 0) throw new AggregateError(failures, "Cannot make the tunnel devices");
    return this.#vxlanLink?.ifindex !== before[0] || this.#ipipLink?.ifindex !== before[1];
  }

  renderChains(
    parts: Omit<RuleParts, "natOutgoing" | "serviceCidrs">,
    rules: RulesConfig,
    onRefused: (id: string, error: InputError) => void,
  ): void {
    const { natOutgoing } = this.setManager;
    const own = { natOutgoing, serviceCidrs: this.#serviceCidrs };
    const chains = this.#ruleSet.chains({ ...parts, ...own }, rules, onRefused);
    this.rules.setAll(chains, rules, onRefused);
  }

  /** Creates and updates the sets that rules need, or will need. */
  async applySets(): Promise<void> {
    this.setManager.refreshStatic();
    await this.#sets.apply(this.rules.neededSets());
  }

  /** Rules that are refused may name a set that somebody destroyed: the next apply lists the sets again. */
  async applyRules(): Promise<void> {
    try {
      await this.rules.apply();
    } catch (error) {
      this.#sets.resync();
      throw error;
    }
  }

  /** After the rules: what they no longer use can go. */
  async destroyUnusedSets(): Promise<void> {
    const needed = this.rules.neededSets();
    for (let more = true; more; ) more = await this.#sets.destroyUnused(needed);
  }
}
