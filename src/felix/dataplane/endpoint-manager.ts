import type { Chain } from "../../kernel/iptables/model.ts";
import type { KernelLink, KernelNeighbor, KernelRoute } from "../../kernel/kernel.ts";
import { mainTable } from "../../kernel/ownership.ts";
import { compareText } from "../../lib/collections.ts";
import { type IpAddr, ipFamily } from "../../lib/ip-addr.ts";
import { KeptValue } from "../../lib/kept-value.ts";
import { hostPrefix } from "../../lib/prefix.ts";
import type { DataplaneUpdate, LocalEndpoint } from "../calc/updates.ts";
import type { FelixConfig } from "../config/felix-config.ts";
import { DispatchChains } from "../rules/dispatch-chains.ts";
import { workloadEndpointChains } from "../rules/endpoint-chains.ts";
import { endpointGroupChains } from "../rules/policy-groups.ts";
import type { RulesConfig } from "../rules/rules-config.ts";
import type { KernelLinks } from "./kernel-links.ts";
import type { PolicyManager } from "./policy-manager.ts";

export interface PresentEndpoint {
  readonly link: KernelLink;
  readonly endpoint: LocalEndpoint;
}

/** Chains of an endpoint, of policies that group so and this configuration. */
interface Rendered {
  readonly version: number;
  readonly rules: RulesConfig;
  readonly chains: readonly Chain[];
}

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
  #active: ReadonlyMap<string, LocalEndpoint> | undefined;
  readonly #rendered = new WeakMap<LocalEndpoint, Rendered>();
  readonly #dispatchChains = new DispatchChains();
  readonly #dispatch = new KeptValue<readonly Chain[]>();

  constructor(config: FelixConfig, links: KernelLinks) {
    this.#config = config;
    this.#links = links;
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind !== "workloadEndpoint") return;
    if (update.op === "set") this.#endpoints.set(update.id, update.value);
    else this.#endpoints.delete(update.id);
    this.#active = undefined;
  }

  /** Endpoints by id, the shadowed ones too. */
  get all(): ReadonlyMap<string, LocalEndpoint> {
    return this.#endpoints;
  }

  /** Endpoints by interface, the shadowed ones left out. */
  active(): ReadonlyMap<string, LocalEndpoint> {
    this.#active ??= firstOfEach(this.#endpoints);
    return this.#active;
  }

  /** Chains of all endpoints; those of an endpoint that nothing changed are the same objects again. */
  chains(policies: PolicyManager, rules: RulesConfig): Chain[] {
    const version = policies.groupingVersion;
    const active = this.active();
    const chains = active.values().flatMap((endpoint) => {
      const known = this.#rendered.get(endpoint);
      if (known?.version === version && known.rules === rules) return known.chains;
      const rendered = [
        ...workloadEndpointChains(endpoint, policies.policies, rules),
        ...endpointGroupChains(endpoint.tiers, policies.policies, rules),
      ];
      this.#rendered.set(endpoint, { version, rules, chains: rendered });
      return rendered;
    });
    return [
      ...chains,
      ...this.#dispatch.of([rules, ...active.keys()], () =>
        this.#dispatchChains.of(active.keys(), rules),
      ),
    ];
  }

  routes(): KernelRoute[] {
    return this.present().flatMap((one) => this.routesOf(one));
  }

  routesOf({ link, endpoint }: PresentEndpoint): KernelRoute[] {
    const { floatingIps } = this.#config.rules;
    const floating = floatingIps ? endpoint.floating.map(({ external }) => external) : [];
    return [...endpoint.addresses, ...floating].map((address) => this.#route(address, link));
  }

  #route(address: IpAddr, link: KernelLink): KernelRoute {
    const family = ipFamily(address);
    const source = this.#config.deviceRouteSource[family];
    return {
      table: mainTable,
      destination: hostPrefix(address),
      priority: this.#config.normalRoutePriority[family],
      kind: "unicast",
      // IPv6 routes have no scope: the kernel shows them as universe.
      scope: family === 4 ? "link" : "universe",
      protocol: this.#config.deviceRouteProtocol,
      ifindex: link.ifindex,
      ...(source === undefined ? {} : { source }),
    };
  }

  /** A static entry spares the first packet an ARP round; IPv6 has its own way (facts 4.16). */
  neighbors(): KernelNeighbor[] {
    return this.present().flatMap(({ link, endpoint }) => {
      const { mac } = endpoint;
      if (mac === undefined) return [];
      return endpoint.addresses
        .filter((address) => ipFamily(address) === 4)
        .map((address) => ({ ifindex: link.ifindex, address, mac, state: "permanent" as const }));
    });
  }

  /** Endpoints whose interface is there and up. */
  present(): PresentEndpoint[] {
    return [...this.active()].flatMap(([name, endpoint]) => {
      const link = this.#links.byName(name);
      return link?.up === true ? [{ link, endpoint }] : [];
    });
  }

  /** Interfaces that endpoints name and that we have not heard of. */
  missingInterfaces(): string[] {
    return [...this.active().keys()].filter((name) => this.#links.byName(name) === undefined);
  }
}

/** Of each interface the endpoint with the smallest id. */
function firstOfEach(endpoints: ReadonlyMap<string, LocalEndpoint>): Map<string, LocalEndpoint> {
  const first = new Map<string, LocalEndpoint>();
  for (const [, endpoint] of [...endpoints].sort(([a], [b]) => compareText(a, b))) {
    if (!first.has(endpoint.interfaceName)) first.set(endpoint.interfaceName, endpoint);
  }
  return first;
}
