import { release } from "node:os";
import { tunnelOverhead } from "../../api/tunnel-overhead.ts";
import type { FdbEntry, KernelLink, KernelNeighbor } from "../../kernel/kernel.ts";
import { vxlanDevice, vxlanDeviceV6 } from "../../kernel/ownership.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { MacAddr } from "../../lib/mac.ts";
import type { DataplaneUpdate, Vtep } from "../calc/updates.ts";
import type { FelixConfig } from "../config/felix-config.ts";
import { isChecksumOffloadBroken } from "./checksum-offload.ts";
import { repairTunnelDevice } from "./tunnel-device.ts";
import type { TunnelManager, TunnelPorts } from "./tunnels.ts";

const deviceNames: Readonly<Record<IpFamily, string>> = { 4: vxlanDevice, 6: vxlanDeviceV6 };

export interface TunnelEnd {
  readonly tunnelAddress: IpAddr;
  readonly mac: MacAddr;
  readonly nodeAddress: IpAddr;
}

/**
 * The VXLAN device of one family, its address, and who is behind it (facts 4.9). The device is wanted
 * while some pool uses VXLAN and this node has a tunnel address.
 */
export class VxlanManager implements TunnelManager {
  readonly #family: IpFamily;
  readonly #nodeName: string;
  readonly #config: FelixConfig;
  readonly #vteps = new Map<string, Vtep>();

  constructor(family: IpFamily, nodeName: string, config: FelixConfig) {
    this.#family = family;
    this.#nodeName = nodeName;
    this.#config = config;
  }

  get deviceName(): string {
    return deviceNames[this.#family];
  }

  get address(): IpAddr | undefined {
    return this.local()?.tunnelAddress;
  }

  get vteps(): ReadonlyMap<string, Vtep> {
    return this.#vteps;
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind !== "vtep") return;
    if (update.op === "set") this.#vteps.set(update.id, update.value);
    else this.#vteps.delete(update.id);
  }

  /** Our own end, once it has its address. */
  local(): TunnelEnd | undefined {
    return this.#end(this.#vteps.get(this.#nodeName));
  }

  remotes(): TunnelEnd[] {
    return [...this.#vteps.values()]
      .filter(({ node }) => node !== this.#nodeName)
      .flatMap((vtep) => this.#end(vtep) ?? []);
  }

  #end(vtep: Vtep | undefined): TunnelEnd | undefined {
    return this.#family === 4 ? vtep?.v4 : vtep?.v6;
  }

  neighbors(ifindex: number): KernelNeighbor[] {
    return this.remotes().map(({ tunnelAddress, mac }) => ({
      ifindex,
      address: tunnelAddress,
      mac,
      state: "permanent",
    }));
  }

  fdbEntries(ifindex: number): FdbEntry[] {
    return this.remotes().map(({ mac, nodeAddress }) => ({
      ifindex,
      mac,
      destination: nodeAddress,
    }));
  }

  /**
   * Makes the device what it must be: created, created anew when it cannot be changed, repaired, or
   * removed.
   *
   * @returns the device, when it is wanted.
   */
  async applyDevice(
    wanted: boolean,
    parent: KernelLink | undefined,
    ports: TunnelPorts,
  ): Promise<KernelLink | undefined> {
    const { kernel, links } = ports;
    const local = this.local();
    const present = links.byName(this.deviceName);
    if (!wanted || local === undefined || parent === undefined) {
      if (!wanted && present?.type === "vxlan") await kernel.links.remove(present.ifindex);
      // The node's address may be away for a moment: what is there stays as it is.
      return wanted && local !== undefined && present?.type === "vxlan" ? present : undefined;
    }
    const mtu = this.#mtu(parent);
    if (present !== undefined && !this.#isCompatible(present, local, parent)) {
      await kernel.links.remove(present.ifindex);
    }
    if (present === undefined || !this.#isCompatible(present, local, parent)) {
      await kernel.links.addVxlan({
        name: this.deviceName,
        mac: local.mac,
        mtu,
        vni: this.#config.vxlanVni,
        port: this.#config.vxlanPort,
        local: local.nodeAddress,
        parentIfindex: parent.ifindex,
        learning: false,
      });
    }
    const device = await links.look(this.deviceName);
    if (device === undefined) throw new Error(`Cannot find ${this.deviceName} after adding it`);
    const { mac, tunnelAddress: address } = local;
    await repairTunnelDevice(device, { mac, mtu, family: this.#family, address }, kernel);
    if (isChecksumOffloadBroken(this.#config.checksumOffloadBroken, release())) {
      const { name } = device;
      if (await kernel.links.offloadsChecksum(name)) {
        await kernel.links.setChecksumOffload(name, false);
      }
    }
    return device;
  }

  #mtu(parent: KernelLink): number {
    return this.#config.vxlanMtu[this.#family] || parent.mtu - tunnelOverhead.vxlan[this.#family];
  }

  #isCompatible({ type, vxlan }: KernelLink, local: TunnelEnd, parent: KernelLink): boolean {
    return (
      type === "vxlan" &&
      vxlan !== undefined &&
      vxlan.vni === this.#config.vxlanVni &&
      vxlan.port === this.#config.vxlanPort &&
      vxlan.local === local.nodeAddress &&
      vxlan.parentIfindex === parent.ifindex &&
      !vxlan.learning
    );
  }
}
