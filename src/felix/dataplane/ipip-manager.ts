import { tunnelOverhead } from "../../api/tunnel-overhead.ts";
import type { Kernel, KernelLink } from "../../kernel/kernel.ts";
import { ipipDevice } from "../../kernel/ownership.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { DataplaneUpdate } from "../calc/updates.ts";
import type { FelixConfig } from "../config/felix-config.ts";
import { repairTunnelDevice } from "./tunnel-device.ts";
import type { TunnelManager, TunnelPorts } from "./tunnels.ts";

/**
 * The IPIP device and its address (facts 4.9): one for all peers, as each route names the peer. It is
 * wanted while some pool uses IPIP and this node has a tunnel address.
 */
export class IpipManager implements TunnelManager {
  readonly #nodeName: string;
  readonly #config: FelixConfig;
  #address: IpAddr | undefined;
  /** We have set it up: somebody else's, from before, stays as it is. */
  #isOurs = false;

  constructor(nodeName: string, config: FelixConfig) {
    this.#nodeName = nodeName;
    this.#config = config;
  }

  readonly deviceName: string = ipipDevice;

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind !== "host" || update.id !== this.#nodeName) return;
    this.#address = update.op === "set" ? update.value.ipipTunnelAddress : undefined;
  }

  get address(): IpAddr | undefined {
    return this.#address;
  }

  /**
   * Makes the device what it must be: loaded with its module, repaired, or shut. The kernel's own
   * tunl0 cannot be removed.
   *
   * @returns the device, when it is wanted.
   */
  async applyDevice(
    wanted: boolean,
    parent: KernelLink | undefined,
    ports: TunnelPorts,
  ): Promise<KernelLink | undefined> {
    const { kernel, links } = ports;
    const address = this.#address;
    const present = links.byName(this.deviceName);
    if (!wanted) {
      if (present !== undefined && this.#isOurs) await this.#shut(present, kernel);
      return undefined;
    }
    // The node's address may be away for a moment: what is there stays as it is.
    if (address === undefined || parent === undefined) return this.#isOurs ? present : undefined;
    if (present === undefined) await kernel.links.addIpip(this.deviceName);
    const device = present ?? (await links.look(this.deviceName));
    if (device === undefined) throw new Error(`Cannot find ${this.deviceName} after adding it`);
    this.#isOurs = true;
    const { ipipMtu } = this.#config;
    const mtu = ipipMtu > 0 ? ipipMtu : parent.mtu - tunnelOverhead.ipip;
    await repairTunnelDevice(device, { mtu, family: 4, address }, kernel);
    return device;
  }

  async #shut({ ifindex }: KernelLink, kernel: Kernel): Promise<void> {
    for (const { address, length } of await kernel.addresses.list({ ifindex, family: 4 })) {
      await kernel.addresses.remove({ ifindex, address, length });
    }
    await kernel.links.set(ifindex, { up: false });
    this.#isOurs = false;
  }
}
