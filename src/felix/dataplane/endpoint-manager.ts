import type { Chain } from "../../kernel/iptables/model.ts";
import type { KernelLink, KernelNeighbor, KernelRoute } from "../../kernel/kernel.ts";
import { mainTable } from "../../kernel/ownership.ts";
import { compareText } from "../../lib/collections.ts";
import { type IpAddr, ipFamily } from "../../lib/ip-addr.ts";
import { hostPrefix } from "../../lib/prefix.ts";
import type { ActivePolicy, DataplaneUpdate, LocalEndpoint } from "../calc/updates.ts";
import type { FelixConfig } from "../config.ts";
import { dispatchChains } from "../rules/dispatch-chains.ts";
import { workloadEndpointChains } from "../rules/endpoint-chains.ts";
import { endpointGroupChains } from "../rules/policy-groups.ts";
import type { RulesConfig } from "../rules/rules-config.ts";
import type { KernelLinks } from "./kernel-links.ts";

/**
 * Local endpoints, to chains, routes, neighbors and sysctls (facts 4.8, 4.19).
 *
 * Chains are wanted as soon as the endpoint is known; routes, neighbors and sysctls once its interface
 * is there. Of two endpoints that claim one interface, the one with the smallest id has it.
 */
export class EndpointManager {
  readonly #config: FelixConfig;
  readonly #links: KernelLinks;
  readonly #endpoints = new Map<string, LocalEndpoint>();

  constructor(config: FelixConfig, links: KernelLinks) {
    this.#config = config;
    this.#links = links;
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind !== "workloadEndpoint") return;
    if (update.op === "set") this.#endpoints.set(update.id, update.value);
    else this.#endpoints.delete(update.id);
  }

  get(id: string): LocalEndpoint | undefined {
    return this.#endpoints.get(id);
  }

  /** Endpoints by interface, the shadowed ones left out. */
  active(): ReadonlyMap<string, LocalEndpoint> {
    const active = new Map<string, LocalEndpoint>();
    for (const [, endpoint] of [...this.#endpoints].sort(([a], [b]) => compareText(a, b))) {
      if (!active.has(endpoint.interfaceName)) active.set(endpoint.interfaceName, endpoint);
    }
    return active;
  }

  chains(policies: ReadonlyMap<string, ActivePolicy>, rules: RulesConfig): Chain[] {
    const active = this.active();
    return [
      ...[...active.values()].flatMap((endpoint) => [
        ...workloadEndpointChains(endpoint, policies, rules),
        ...endpointGroupChains(endpoint, policies, rules),
      ]),
      ...dispatchChains(active.keys(), rules),
    ];
  }

  routes(): KernelRoute[] {
    return this.#present().flatMap(({ link, endpoint }) =>
      endpoint.addresses.map((address) => this.#route(address, link)),
    );
  }

  #route(address: IpAddr, link: KernelLink): KernelRoute {
    const family = ipFamily(address);
    return {
      table: mainTable,
      destination: hostPrefix(address),
      priority: this.#config.normalRoutePriority[family],
      kind: "unicast",
      // IPv6 routes have no scope: the kernel shows them as universe.
      scope: family === 4 ? "link" : "universe",
      protocol: this.#config.deviceRouteProtocol,
      ifindex: link.ifindex,
    };
  }

  /** A static entry spares the first packet an ARP round; IPv6 has its own way (facts 4.16). */
  neighbors(): KernelNeighbor[] {
    return this.#present().flatMap(({ link, endpoint }) => {
      const { mac } = endpoint;
      if (mac === undefined) return [];
      return endpoint.addresses
        .filter((address) => ipFamily(address) === 4)
        .map((address) => ({ ifindex: link.ifindex, address, mac, state: "permanent" as const }));
    });
  }

  /** Interfaces that are there and up, with their endpoints. */
  #present(): { link: KernelLink; endpoint: LocalEndpoint }[] {
    return [...this.active()].flatMap(([name, endpoint]) => {
      const link = this.#links.byName(name);
      return link?.up === true ? [{ link, endpoint }] : [];
    });
  }

  /** Pods' interfaces that are there, by name: each wants the sysctls of `interfaceSysctls`. */
  presentInterfaces(): { readonly link: KernelLink; readonly hasV6: boolean }[] {
    return this.#present().map(({ link, endpoint }) => ({
      link,
      hasV6: endpoint.addresses.some((address) => ipFamily(address) === 6),
    }));
  }

  /** Interfaces that endpoints name and that we have not heard of. */
  missingInterfaces(): string[] {
    return [...this.active().keys()].filter((name) => this.#links.byName(name) === undefined);
  }
}

/** Facts 4.8: path under /proc/sys, and value. `rpFilter` is the one of net.ipv4.conf.default. */
export function interfaceSysctls(
  name: string,
  options: { readonly rpFilter: string; readonly ipv6: boolean },
): [path: readonly string[], value: string][] {
  const v4 = (key: string) => ["net", "ipv4", "conf", name, key];
  const v6 = (key: string) => ["net", "ipv6", "conf", name, key];
  return [
    [v4("route_localnet"), "1"],
    [["net", "ipv4", "neigh", name, "proxy_delay"], "0"],
    [v4("proxy_arp"), "1"],
    [v4("forwarding"), "1"],
    [v4("rp_filter"), options.rpFilter],
    ...(options.ipv6
      ? ([
          [v6("accept_ra"), "0"],
          [v6("proxy_ndp"), "1"],
          [v6("forwarding"), "1"],
        ] as [readonly string[], string][])
      : []),
  ];
}
