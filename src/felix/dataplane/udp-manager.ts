import { tunnelOverhead } from "../../api/tunnel-overhead.ts";
import type { KernelLink, KernelNeighbor } from "../../kernel/kernel.ts";
import { udpDevice } from "../../kernel/ownership.ts";
import { longestPacket } from "../../kernel/tap/packet-batch.ts";
import { tunnelMac } from "../../kernel/tap/tunnel-mac.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { DataplaneUpdate, Vtep } from "../calc/updates.ts";
import type { FelixConfig } from "../config/felix-config.ts";
import { repairTunnelDevice } from "./tunnel-device.ts";
import type { TunnelManager, TunnelPorts } from "./tunnels.ts";

/**
 * The device of the userspace UDP tunnel, its address, and who is behind it (docs/udp-tunnel.md). Its ends
 * have the tunnel addresses of VXLAN; a neighbor's MAC address names its node, which is all that
 * `tortie udp-tunnel` must know.
 */
export class UdpManager implements TunnelManager {
  readonly deviceName: string = udpDevice;
  readonly #nodeName: string;
  readonly #config: Pick<FelixConfig, "udpMtu">;
  readonly #vteps = new Map<string, Vtep>();

  constructor(nodeName: string, config: Pick<FelixConfig, "udpMtu">) {
    this.#nodeName = nodeName;
    this.#config = config;
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind !== "vtep") return;
    if (update.op === "set") this.#vteps.set(update.id, update.value);
    else this.#vteps.delete(update.id);
  }

  get address(): IpAddr | undefined {
    return this.#vteps.get(this.#nodeName)?.v4?.tunnelAddress;
  }

  neighbors(ifindex: number): KernelNeighbor[] {
    return [...this.#vteps.values()].flatMap(({ node, v4 }) => {
      if (node === this.#nodeName || v4 === undefined) return [];
      const { tunnelAddress: address, nodeAddress } = v4;
      return [{ ifindex, address, mac: tunnelMac(nodeAddress), state: "permanent" as const }];
    });
  }

  /** Makes the device what it must be: created, repaired, or removed. */
  async applyDevice(
    wanted: boolean,
    parent: KernelLink | undefined,
    { kernel, links }: TunnelPorts,
  ): Promise<KernelLink | undefined> {
    const local = this.#vteps.get(this.#nodeName)?.v4;
    const present = links.byName(this.deviceName);
    if (!wanted || local === undefined || parent === undefined) {
      if (!wanted && present?.type === "tun") await kernel.links.remove(present.ifindex);
      // The node's address may be away for a moment: what is there stays as it is.
      return wanted && local !== undefined && present?.type === "tun" ? present : undefined;
    }
    if (present === undefined) await kernel.links.addTap(this.deviceName);
    const device = present ?? (await links.look(this.deviceName));
    if (device === undefined) throw new Error(`Cannot find ${this.deviceName} after adding it`);
    const { tunnelAddress: address, nodeAddress } = local;
    const mtu = Math.min(this.#config.udpMtu || parent.mtu - tunnelOverhead.udp, longestPacket);
    await repairTunnelDevice(
      device,
      { family: 4, mac: tunnelMac(nodeAddress), mtu, address },
      kernel,
    );
    return device;
  }
}
