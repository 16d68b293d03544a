import { tunnelOverhead } from "../../api/tunnel-overhead.ts";
import { routeKey, sameRoute } from "../../kernel/ip/route-identity.ts";
import type {
  Kernel,
  KernelEvent,
  KernelLink,
  KernelRoute,
  WireguardPeer,
} from "../../kernel/kernel.ts";
import type { ApplyReport, SyncedTable } from "../../kernel/synced-table.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import { type Prefix, prefixFamily } from "../../lib/prefix.ts";
import type { ClusterRoute, DataplaneUpdate, WireguardEnd } from "../calc/updates.ts";
import type { WireguardConfig } from "../config/wireguard-config.ts";
import { presentDevice, repairTunnelDevice } from "./tunnel-device.ts";
import type { TunnelManager, TunnelPorts } from "./tunnels.ts";
import { readPresharedKey, WireguardDevice } from "./wireguard-device.ts";
import { type WireguardPlan, wireguardPlan } from "./wireguard-plan.ts";
import { applyRule, type TunnelRule, tunnelRouteTable } from "./wireguard-tables.ts";

/**
 * WireGuard of one family: its device, the other nodes as peers, a routing table of its own and the
 * rule that leads to it (facts 4.21). The private key is made once a device, and only the kernel has
 * it. The rule comes last and goes first: until then packets take the main table's routes.
 */
export class WireguardManager implements TunnelManager {
  readonly deviceName: string;
  readonly #family: IpFamily;
  readonly #nodeName: string;
  readonly #config: WireguardConfig;
  readonly #device: WireguardDevice;
  readonly #rule: TunnelRule;
  readonly #kernel: Kernel;
  readonly #ends = new Map<string, WireguardEnd>();
  readonly #addresses = new Map<string, IpAddr>();
  readonly #clusterRoutes = new Map<string, ClusterRoute>();
  readonly #routes: SyncedTable<string, KernelRoute>;
  /** What was there before us, or was changed by others, wants a look. */
  #mustLook = true;
  /** Whether this node has a device, and its key. */
  #isKnown = false;

  constructor(
    family: IpFamily,
    nodeName: string,
    of: { readonly config: WireguardConfig; readonly kernel: Kernel; readonly log: Logger },
  ) {
    const { config, kernel, log } = of;
    this.#family = family;
    this.#nodeName = nodeName;
    this.#config = config;
    this.#kernel = kernel;
    this.#device = new WireguardDevice(family, { config, kernel, log });
    this.deviceName = config.device[family];
    const { rulePriority: priority, mark } = config;
    this.#rule = { family, priority, mark, table: config.table[family] };
    this.#routes = tunnelRouteTable(kernel, family, config.table[family]);
  }

  /** Whether the configuration asks for it. */
  get isEnabled(): boolean {
    return this.#config.enabled[this.#family];
  }

  get address(): IpAddr | undefined {
    const own = this.#ends.get(this.#nodeName)?.interfaceAddress;
    return own ?? (this.#config.hostEncryption ? this.#addresses.get(this.#nodeName) : undefined);
  }

  /**
   * What the cluster must know of this node; absent: it has no WireGuard. Until its device was looked at, what
   * the datastore says stands: others would send to a node without a key unencrypted.
   */
  get publicKey(): string | undefined {
    return this.#isKnown ? this.#device.publicKey : this.storedKey;
  }

  /** What the datastore says that it is. */
  get storedKey(): string | undefined {
    return this.#ends.get(this.#nodeName)?.publicKey;
  }

  onUpdate(update: DataplaneUpdate): void {
    const { kind, id } = update;
    if (kind === "wireguard") {
      put(this.#ends, id, update.op === "set" ? update.value[this.#family] : undefined);
    } else if (kind === "host") {
      const host = update.op === "set" ? update.value : undefined;
      put(this.#addresses, id, (this.#family === 4 ? host?.v4 : host?.v6)?.address);
    } else if (kind === "route") {
      const route = update.op === "set" ? update.value : undefined;
      const isOurs = route !== undefined && prefixFamily(route.destination) === this.#family;
      put(this.#clusterRoutes, id, isOurs ? route : undefined);
    }
  }

  /** The next apply compares all with the kernel. */
  resync(): void {
    this.#mustLook = true;
    this.#routes.resync();
    this.#device.resync();
  }

  /** True when the event took our table away from what is wanted. */
  drifts(event: KernelEvent): boolean {
    if (!this.isEnabled || event.kind !== "route") return false;
    if (event.route.table !== this.#rule.table) return false;
    if (prefixFamily(event.route.destination) !== this.#family) return false;
    const desired = this.#routes.desired.get(routeKey(event.route));
    const same = desired !== undefined && sameRoute(desired, event.route);
    const drifted = event.op === "removed" ? same : !same;
    if (drifted) this.#routes.resync();
    return drifted;
  }

  async applyDevice(
    wanted: boolean,
    parent: KernelLink | undefined,
    { kernel, links }: TunnelPorts,
  ): Promise<KernelLink | undefined> {
    const found = links.byName(this.deviceName);
    if (!wanted) {
      await this.#removeAll(found);
      this.#isKnown = true;
      return undefined;
    }
    const present = presentDevice(found, "wireguard", this.deviceName);
    // The node's address may be away for a moment: what is there stays as it is.
    if (parent === undefined) return present;
    const mtu =
      this.#config.mtu[this.#family] || parent.mtu - tunnelOverhead.wireguard[this.#family];
    if (present === undefined && !(await this.#device.create(mtu))) {
      this.#isKnown = true;
      return undefined;
    }
    const link = present ?? (await links.look(this.deviceName));
    if (link === undefined) throw new Error(`Cannot find ${this.deviceName} after adding it`);
    if (await this.#device.applyKey(link.ifindex)) this.#routes.resync();
    this.#isKnown = true;
    await repairTunnelDevice(link, { mtu, address: this.address, family: this.#family }, kernel);
    return link;
  }

  /** Peers, routes and the rule, in this order. @returns what failed; the next apply tries it again. */
  async applyPeers(link: KernelLink | undefined): Promise<readonly unknown[]> {
    const peerTable = this.#device.peersOf(link?.ifindex);
    if (!this.isEnabled || link === undefined || peerTable === undefined) return [];
    const plan = wireguardPlan({
      nodeName: this.#nodeName,
      ends: this.#ends,
      addresses: this.#addresses,
      routes: this.#clusterRoutes.values(),
      hostEncryption: this.#config.hostEncryption,
    });
    const errors: unknown[] = [];
    // A resync asked for meanwhile must not be forgotten.
    const mustLook = this.#mustLook;
    this.#mustLook = false;
    const run = async (what: string, step: () => Promise<ApplyReport<string> | undefined>) => {
      try {
        for (const [key, reason] of (await step())?.failed ?? []) {
          errors.push(new Error(`Cannot program WireGuard ${what} ${key}: ${reason}`));
        }
      } catch (cause) {
        errors.push(new Error(`Cannot program WireGuard ${what}s`, { cause }));
      }
    };
    await run("peer", async () => {
      const peers = this.#peers(plan);
      peerTable.replaceAll(new Map(peers.map((peer) => [peer.publicKey, peer])));
      const report = await peerTable.apply();
      if (peers.length > 0) this.#device.applyThreading();
      return report;
    });
    const routes = [
      ...plan.encrypted.map((cidr) => this.#route(cidr, link.ifindex)),
      ...plan.thrown.map((cidr) => this.#route(cidr, undefined)),
    ];
    this.#routes.replaceAll(new Map(routes.map((route) => [routeKey(route), route])));
    if (!this.#config.routeSyncDisabled) {
      await run("route", () => this.#routes.apply());
      await run("rule", async () => {
        if (mustLook) await applyRule(this.#kernel, this.#rule, true);
        return undefined;
      });
    }
    if (errors.length > 0) this.#mustLook = true;
    return errors;
  }

  #peers({ peers }: WireguardPlan): WireguardPeer[] {
    const { keepaliveSeconds, presharedKeyFile } = this.#config;
    const port = this.#config.port[this.#family];
    const shared =
      presharedKeyFile === undefined ? {} : { presharedKey: readPresharedKey(presharedKeyFile) };
    return [...peers.values()].map(({ publicKey, address, allowed }) => {
      return { publicKey, endpoint: { address, port }, allowed, keepaliveSeconds, ...shared };
    });
  }

  #route(destination: Prefix, ifindex: number | undefined): KernelRoute {
    const isV4 = this.#family === 4;
    return {
      table: this.#rule.table,
      destination,
      priority: isV4 ? 0 : 1024,
      protocol: this.#config.routeProtocol,
      ...(ifindex === undefined
        ? { kind: "throw", scope: "universe" }
        : { kind: "unicast", scope: isV4 ? "link" : "universe", ifindex }),
    };
  }

  /** Also what an earlier process left. */
  async #removeAll(present: KernelLink | undefined): Promise<void> {
    const isThere = present?.type === "wireguard";
    if (!this.#mustLook && !isThere) return;
    const kernel = this.#kernel;
    const hadRule = await applyRule(kernel, this.#rule, false);
    if (isThere) await kernel.links.remove(present.ifindex);
    if (hadRule || isThere) {
      this.#routes.replaceAll(new Map());
      this.#routes.resync();
      await this.#routes.apply();
    }
    this.#mustLook = false;
  }
}

function put<Value>(map: Map<string, Value>, key: string, value: Value | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
