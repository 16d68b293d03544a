import type {
  FdbEntry,
  Kernel,
  KernelAddress,
  KernelEvent,
  KernelLink,
  KernelNeighbor,
} from "../../kernel/kernel.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import type { DataplaneUpdate } from "../calc/updates.ts";
import type { FelixConfig } from "../config/felix-config.ts";
import type { FamilyPart } from "./family-part.ts";
import type { IpSetManager } from "./ip-set-manager.ts";
import { Ip6TunnelManager } from "./ip6-tunnel-manager.ts";
import { IpipManager } from "./ipip-manager.ts";
import type { KernelLinks } from "./kernel-links.ts";
import type { DesiredState } from "./kernel-state.ts";
import { ownedClasses } from "./owned-classes.ts";
import { type RouteContext, RouteManager } from "./route-manager.ts";
import { SubnetWatch } from "./subnet-watch.ts";
import { type TunnelRules, tunnelRules } from "./tunnel-rules.ts";
import { UdpManager } from "./udp-manager.ts";
import { VxlanManager } from "./vxlan-manager.ts";
import { WireguardManager } from "./wireguard-manager.ts";

export interface TunnelPorts {
  readonly kernel: Kernel;
  readonly links: KernelLinks;
}

/** Looks after the device of one kind of tunnel, of one family. */
export interface TunnelManager {
  readonly deviceName: string;
  /** This node's address in the tunnel, once it has one. */
  readonly address: IpAddr | undefined;
  onUpdate(update: DataplaneUpdate): void;
  /**
   * Makes the device what it must be. `parent` is the interface that has the node's address.
   *
   * @returns the device, when it is wanted and there.
   */
  applyDevice(
    wanted: boolean,
    parent: KernelLink | undefined,
    ports: TunnelPorts,
  ): Promise<KernelLink | undefined>;
}

export interface Tunnel<Manager extends TunnelManager = TunnelManager> {
  /** Of the packets outside: the interface with the node's address of this family is what they leave by. */
  readonly family: IpFamily;
  readonly manager: Manager;
  /** Pools, or the configuration, call for it, or others may still use the device, if it `isThere`. */
  wanted(isThere: boolean): boolean;
  /** The device, once it is there with its address. */
  link?: KernelLink | undefined;
}

type FamilyKeys = Partial<Record<IpFamily, string | undefined>>;

export interface WireguardKeys {
  readonly own: Readonly<FamilyKeys>;
  readonly stored: Readonly<FamilyKeys>;
}

type Family = Pick<FamilyPart, "family" | "setManager">;

/**
 * The tunnel devices of both families, and the routes to the rest of the cluster, which lead through
 * them or through the interface that has the node's address (facts 4.9).
 */
export class Tunnels {
  readonly #nodeName: string;
  readonly #config: FelixConfig;
  readonly #families: readonly Family[];
  readonly #vxlan: readonly Tunnel<VxlanManager>[];
  /** Of IPv4 alone: there is no IPIP of IPv6. */
  readonly #ipip: Tunnel<IpipManager> | undefined;
  readonly #udp: Tunnel<UdpManager>;
  readonly #ip6: readonly Tunnel<Ip6TunnelManager>[];
  readonly #wireguard: readonly Tunnel<WireguardManager>[];
  readonly #all: readonly Tunnel[];
  readonly #routes: RouteManager;
  readonly #subnets: SubnetWatch;
  #parents: Readonly<Partial<Record<IpFamily, KernelLink>>> = {};

  constructor(
    nodeName: string,
    families: readonly Family[],
    of: { readonly config: FelixConfig; readonly kernel: Kernel; readonly log: Logger },
  ) {
    const { config, kernel, log } = of;
    this.#nodeName = nodeName;
    this.#config = config;
    this.#families = families;
    this.#routes = new RouteManager(ownedClasses(config));
    this.#subnets = new SubnetWatch(nodeName, log);
    this.#vxlan = families.map(({ family, setManager }) => {
      const manager = new VxlanManager(family, nodeName, config);
      const wanted = (isThere: boolean) =>
        setManager.uses("vxlan") || (isThere && isWanted("vxlan", manager, setManager));
      return { family, manager, wanted };
    });
    const v4 = families.find(({ family }) => family === 4);
    if (v4 !== undefined) {
      const manager = new IpipManager(nodeName, config);
      const wanted = () => isWanted("ipip", manager, v4.setManager);
      this.#ipip = { family: 4, manager, wanted };
    }
    const udpFamilies = () =>
      families.flatMap(({ family, setManager }) => (setManager.uses("udp") ? family : []));
    const udp = new UdpManager(nodeName, config, udpFamilies);
    this.#udp = {
      get family() {
        return udp.outerFamily;
      },
      manager: udp,
      wanted: () => udpFamilies().length > 0,
    };
    const v6 = families.find(({ family }) => family === 6);
    this.#ip6 = (v6 === undefined ? [] : (["ip6ip6", "sit"] as const)).map((kind) => {
      const manager = new Ip6TunnelManager(kind, nodeName, config);
      const wanted = () => v6?.setManager.uses(kind) === true;
      return { family: manager.outerFamily, manager, wanted };
    });
    this.#wireguard = families.map(({ family }) => {
      const manager = new WireguardManager(family, nodeName, {
        config: config.wireguard,
        kernel,
        log,
      });
      return { family, manager, wanted: () => manager.isEnabled };
    });
    this.#all = [
      ...this.#vxlan,
      ...(this.#ipip === undefined ? [] : [this.#ipip]),
      this.#udp,
      ...this.#ip6,
      ...this.#wireguard,
    ];
  }

  onUpdate(update: DataplaneUpdate): void {
    this.#routes.onUpdate(update);
    this.#subnets.onUpdate(update);
    for (const { manager } of this.#all) manager.onUpdate(update);
  }

  /** The next apply compares with the kernel what no event tells of. */
  resync(): void {
    for (const { manager } of this.#wireguard) manager.resync();
  }

  /** True when the event took the kernel away from what is wanted. */
  drifts(event: KernelEvent): boolean {
    return this.#wireguard.some(({ manager }) => manager.drifts(event));
  }

  /** This node's public keys of WireGuard, and those that the datastore has of it. */
  get keys(): WireguardKeys {
    const keys: { own: FamilyKeys; stored: FamilyKeys } = { own: {}, stored: {} };
    for (const { family, manager } of this.#wireguard) {
      keys.own[family] = manager.publicKey;
      keys.stored[family] = manager.storedKey;
    }
    return keys;
  }

  /** Peers of WireGuard, and the way to them. @returns what failed. */
  async applyPeers(): Promise<readonly unknown[]> {
    const errors: unknown[] = [];
    for (const { manager, link } of this.#wireguard)
      errors.push(...(await manager.applyPeers(link)));
    return errors;
  }

  /** It is a tunnel's device, or the one that tunnels' packets leave by. */
  concernsLink({ name, ifindex }: KernelLink): boolean {
    return (
      this.#all.some(({ manager }) => manager.deviceName === name) ||
      Object.values(this.#parents).some((parent) => parent.ifindex === ifindex)
    );
  }

  /** The node's own address or a tunnel's. */
  isOwnAddress(address: IpAddr): boolean {
    return (
      this.#families.some(({ setManager }) => setManager.hostAddress(this.#nodeName) === address) ||
      this.#all.some(({ manager }) => manager.address === address) ||
      this.#udp.manager.addresses.includes(address)
    );
  }

  /**
   * Makes all devices what they must be: one that fails does not stop the others.
   *
   * @returns whether a device is another than before, or there at last, or gone.
   */
  async applyDevices(
    addresses: readonly KernelAddress[],
    ports: TunnelPorts,
  ): Promise<{ readonly changed: boolean; readonly errors: readonly unknown[] }> {
    this.#parents = this.#parentLinks(addresses, ports.links);
    this.#subnets.tell();
    const errors: unknown[] = [];
    let changed = false;
    for (const tunnel of this.#all) {
      const before = tunnel.link?.ifindex;
      const parent = this.#parents[tunnel.family];
      const isThere = ports.links.byName(tunnel.manager.deviceName) !== undefined;
      try {
        tunnel.link = await tunnel.manager.applyDevice(tunnel.wanted(isThere), parent, ports);
      } catch (error) {
        errors.push(error);
      }
      changed ||= tunnel.link?.ifindex !== before;
    }
    return { changed, errors };
  }

  /** Interfaces that have the node's own addresses, while they are up. */
  #parentLinks(
    addresses: readonly KernelAddress[],
    links: KernelLinks,
  ): Partial<Record<IpFamily, KernelLink>> {
    const parents: Partial<Record<IpFamily, KernelLink>> = {};
    for (const { family, setManager } of this.#families) {
      const own = setManager.hostAddress(this.#nodeName);
      const ifindex = addresses.find(({ address }) => address === own)?.ifindex;
      const link = links.byName(links.nameOf(ifindex) ?? "");
      if (link !== undefined) parents[family] = link;
    }
    return parents;
  }

  /** What rules must know of the tunnels. */
  rulesConfig(): TunnelRules {
    return tunnelRules(
      {
        vxlan: this.#vxlan,
        ipip: this.#ipip,
        udp: this.#udp,
        ip6: this.#ip6,
        wireguard: this.#wireguard,
      },
      this.#config,
    );
  }

  /** Routes to the rest of the cluster, and who is behind the tunnel devices. */
  desiredState(): DesiredState {
    const parentIfindex: Partial<Record<IpFamily, number>> = {};
    for (const { family } of this.#families) {
      const parent = this.#parents[family];
      if (parent?.up === true) parentIfindex[family] = parent.ifindex;
    }
    const vxlanIfindex: Partial<Record<IpFamily, number>> = {};
    const neighbors: KernelNeighbor[] = [];
    const fdbEntries: FdbEntry[] = [];
    for (const { family, manager, link } of this.#vxlan) {
      if (link === undefined) continue;
      vxlanIfindex[family] = link.ifindex;
      neighbors.push(...manager.neighbors(link.ifindex));
      fdbEntries.push(...manager.fdbEntries(link.ifindex));
    }
    const { link: udpLink, manager: udp } = this.#udp;
    if (udpLink !== undefined) neighbors.push(...udp.neighbors(udpLink.ifindex));
    const routes = this.#routes.routes({
      vteps: this.#vxlan[0]?.manager.vteps ?? new Map(),
      parentIfindex,
      vxlanIfindex,
      ipipIfindex: this.#ipip?.link?.ifindex,
      udp: udpLink && {
        ifindex: udpLink.ifindex,
        tunnelAddress: (node, family) => udp.tunnelAddress(node, family),
      },
      ip6Tunnels: this.#ip6Devices(),
      deviceRouteProtocol: this.#config.deviceRouteProtocol,
    });
    const awaited = this.#routes.given().union(this.#routes.lacking(routes));
    return { routes, neighbors, fdbEntries, awaited };
  }

  #ip6Devices(): NonNullable<RouteContext["ip6Tunnels"]> {
    return new Map(
      this.#ip6.flatMap(({ manager, link }) => {
        if (link === undefined) return [];
        const wayTo = (node: string) => manager.wayTo(node);
        return [[manager.kind, { ifindex: link.ifindex, wayTo }] as const];
      }),
    );
  }
}

const ownTunnels = ["udp", "ip6ip6", "sit"] as const;

/**
 * A node that has an address in the tunnel still may be sent something through it. That of VXLAN may be
 * that of one of our own tunnels.
 */
function isWanted(
  encapsulation: "vxlan" | "ipip",
  { address }: TunnelManager,
  pools: IpSetManager,
): boolean {
  if (pools.uses(encapsulation)) return true;
  const isOthers = encapsulation === "vxlan" && ownTunnels.some((own) => pools.uses(own));
  return address !== undefined && !isOthers && !pools.forbids(encapsulation);
}
