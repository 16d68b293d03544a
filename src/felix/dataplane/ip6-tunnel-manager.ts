import { tunnelOverhead } from "../../api/tunnel-overhead.ts";
import type { Kernel, KernelLink, KernelRoute } from "../../kernel/kernel.ts";
import { ip6ip6Device, sitDevice } from "../../kernel/ownership.ts";
import { type IpAddr, type IpFamily, parseIpAddr } from "../../lib/ip-addr.ts";
import type { DataplaneUpdate, HostAddresses } from "../calc/updates.ts";
import type { FelixConfig } from "../config/felix-config.ts";
import { presentDevice, repairTunnelDevice } from "./tunnel-device.ts";
import type { TunnelManager, TunnelPorts } from "./tunnels.ts";

export type Ip6TunnelKind = "ip6ip6" | "sit";

/** How a route leads to a node's end of the tunnel. */
export type TunnelWay = Pick<KernelRoute, "gateway" | "onlink" | "encap">;

const kinds = {
  ip6ip6: { device: ip6ip6Device, type: "ip6tnl", outer: 6 },
  sit: { device: sitDevice, type: "sit", outer: 4 },
} as const;

/**
 * The device that carries pods' IPv6 in IPv6 (RFC 2473) or in IPv4 (RFC 4213), and its address: our own, as
 * Calico has IPIP for IPv4 alone (docs/ipv6.md). One for all peers, as each route names the peer's own address.
 * It is wanted while a pool asks for it and this node has the tunnel address of IPv6, which is VXLAN's.
 */
export class Ip6TunnelManager implements TunnelManager {
  readonly kind: Ip6TunnelKind;
  readonly #nodeName: string;
  readonly #config: Pick<FelixConfig, "ip6TunnelMtu">;
  readonly #hosts = new Map<string, HostAddresses>();

  constructor(kind: Ip6TunnelKind, nodeName: string, config: Pick<FelixConfig, "ip6TunnelMtu">) {
    this.kind = kind;
    this.#nodeName = nodeName;
    this.#config = config;
  }

  get deviceName(): string {
    return kinds[this.kind].device;
  }

  get outerFamily(): IpFamily {
    return kinds[this.kind].outer;
  }

  get address(): IpAddr | undefined {
    return this.#hosts.get(this.#nodeName)?.tunnelAddresses?.[6];
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind !== "host") return;
    if (update.op === "set") this.#hosts.set(update.id, update.value);
    else this.#hosts.delete(update.id);
  }

  /**
   * Undefined while either node has no address of the outer packets' family. ip6tnl takes both from the route.
   * A gateway would do as well, but Linux refuses one that is reached by another device than by the default
   * route (`ip6_route_check_nh_onlink`), as nodes mostly are. sit takes the peer's from the gateway, ::a.b.c.d.
   */
  wayTo(node: string): TunnelWay | undefined {
    const [own, peer] = [this.#outerAddress(this.#nodeName), this.#outerAddress(node)];
    if (own === undefined || peer === undefined) return undefined;
    return this.kind === "ip6ip6"
      ? { encap: { source: own, destination: peer } }
      : { gateway: parseIpAddr(`::${peer}`), onlink: true };
  }

  #outerAddress(node: string): IpAddr | undefined {
    const host = this.#hosts.get(node);
    return (this.outerFamily === 4 ? host?.v4 : host?.v6)?.address;
  }

  /**
   * Makes the device what it must be: created, created anew when it cannot be changed, repaired, or removed.
   *
   * @throws {Error} when there is another's device of this name.
   */
  async applyDevice(
    wanted: boolean,
    parent: KernelLink | undefined,
    { kernel, links }: TunnelPorts,
  ): Promise<KernelLink | undefined> {
    const { type } = kinds[this.kind];
    const link = links.byName(this.deviceName);
    if (!wanted) {
      if (link?.type === type) await kernel.links.remove(link.ifindex);
      return undefined;
    }
    let present = presentDevice(link, type, this.deviceName);
    const { address } = this;
    const local = this.#outerAddress(this.#nodeName);
    // The node's address may be away for a moment: what is there stays as it is.
    if (address === undefined || parent === undefined || local === undefined) return present;
    const mtu = this.#config.ip6TunnelMtu || parent.mtu - tunnelOverhead[this.kind];
    if (present !== undefined && this.kind === "sit" && present.sitLocal !== local) {
      await kernel.links.remove(present.ifindex);
      present = undefined;
    }
    if (present === undefined) await this.#create(kernel, local, mtu);
    const device = present ?? (await links.look(this.deviceName));
    if (device === undefined) throw new Error(`Cannot find ${this.deviceName} after adding it`);
    await repairTunnelDevice(device, { mtu, family: 6, address }, kernel);
    return device;
  }

  #create(kernel: Kernel, local: IpAddr, mtu: number): Promise<void> {
    return this.kind === "sit"
      ? kernel.links.addSit(this.deviceName, { local, mtu })
      : kernel.links.addIp6Tunnel(this.deviceName, mtu);
  }
}
