import { tunnelOverhead } from "../../api/tunnel-overhead.ts";
import type { KernelLink, KernelNeighbor } from "../../kernel/kernel.ts";
import { udpDevice } from "../../kernel/ownership.ts";
import { longestPacket } from "../../kernel/tap/packet-batch.ts";
import { tunnelMac } from "../../kernel/tap/tunnel-mac.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { DataplaneUpdate, HostAddresses } from "../calc/updates.ts";
import type { FelixConfig } from "../config/felix-config.ts";
import { presentDevice, repairTunnelDevice } from "./tunnel-device.ts";
import type { TunnelManager, TunnelPorts } from "./tunnels.ts";

/** Of TUN and TAP devices. */
const deviceType = "tun";

/**
 * The device of the userspace UDP tunnel, its addresses, and who is behind it (docs/udp-tunnel.md). Its ends
 * have the tunnel addresses of VXLAN; a neighbor's MAC address names its node, which is all that
 * `tortie udp-tunnel` must know. One device carries both families, in packets of one: IPv4 where this node has it.
 */
export class UdpManager implements TunnelManager {
  readonly deviceName: string = udpDevice;
  readonly #nodeName: string;
  readonly #config: Pick<FelixConfig, "udpMtu">;
  readonly #families: () => readonly IpFamily[];
  readonly #hosts = new Map<string, HostAddresses>();

  /** `families`: of the pools that ask for it now. */
  constructor(
    nodeName: string,
    config: Pick<FelixConfig, "udpMtu">,
    families: () => readonly IpFamily[],
  ) {
    this.#nodeName = nodeName;
    this.#config = config;
    this.#families = families;
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind !== "host") return;
    if (update.op === "set") this.#hosts.set(update.id, update.value);
    else this.#hosts.delete(update.id);
  }

  /** Of the packets outside. */
  get outerFamily(): IpFamily {
    const { v4, v6 } = this.#hosts.get(this.#nodeName) ?? {};
    return v4 === undefined && v6 !== undefined ? 6 : 4;
  }

  get address(): IpAddr | undefined {
    return this.addresses[0];
  }

  /** Of each family of pods that it carries. */
  get addresses(): readonly IpAddr[] {
    return this.#families().flatMap((family) => this.tunnelAddress(this.#nodeName, family) ?? []);
  }

  /** Of the packets inside; undefined also for a node that the tunnel does not reach. */
  tunnelAddress(node: string, family: IpFamily): IpAddr | undefined {
    const host = this.#hosts.get(node);
    return this.#outerAddress(host) && host?.tunnelAddresses?.[family];
  }

  #outerAddress(host: HostAddresses | undefined): IpAddr | undefined {
    return (this.outerFamily === 4 ? host?.v4 : host?.v6)?.address;
  }

  /** An IPv6 address does not fit into a MAC address: there the node's own address is a neighbor, too. */
  neighbors(ifindex: number): KernelNeighbor[] {
    return [...this.#hosts].flatMap(([node, host]) => {
      const outer = this.#outerAddress(host);
      if (node === this.#nodeName || outer === undefined) return [];
      const mac = tunnelMac(outer);
      const inside = this.#families().flatMap((family) => host.tunnelAddresses?.[family] ?? []);
      const addresses = this.outerFamily === 6 && inside.length > 0 ? [...inside, outer] : inside;
      return addresses.map((address) => ({ ifindex, address, mac, state: "permanent" as const }));
    });
  }

  /**
   * Makes the device what it must be: created, repaired, or removed.
   *
   * @throws {Error} when there is another's device of this name.
   */
  async applyDevice(
    wanted: boolean,
    parent: KernelLink | undefined,
    { kernel, links }: TunnelPorts,
  ): Promise<KernelLink | undefined> {
    const link = links.byName(this.deviceName);
    if (!wanted) {
      if (link?.type === deviceType) await kernel.links.remove(link.ifindex);
      return undefined;
    }
    const present = presentDevice(link, deviceType, this.deviceName);
    const outer = this.#outerAddress(this.#hosts.get(this.#nodeName));
    // The node's address may be away for a moment: what is there stays as it is.
    if (this.address === undefined || outer === undefined || parent === undefined) return present;
    if (present === undefined) await kernel.links.addTap(this.deviceName);
    const device = present ?? (await links.look(this.deviceName));
    if (device === undefined) throw new Error(`Cannot find ${this.deviceName} after adding it`);
    const headers = tunnelOverhead.udp[this.outerFamily];
    const mtu = Math.min(this.#config.udpMtu || parent.mtu - headers, longestPacket);
    const mac = tunnelMac(outer);
    const families = this.#families();
    for (const family of [4, 6] as const) {
      // An address that it no longer carries may be another's by now, a pod's say.
      const isCarried = families.includes(family);
      const address = isCarried ? this.tunnelAddress(this.#nodeName, family) : undefined;
      await repairTunnelDevice(device, { family, mac, mtu, address }, kernel);
    }
    return device;
  }
}
