import { routeKey } from "../../src/kernel/ip/route-identity.ts";
import type {
  FdbEntry,
  InterfaceSetup,
  Kernel,
  KernelAddress,
  KernelEvent,
  KernelFailure,
  KernelLink,
  KernelNeighbor,
  KernelRoute,
  RoutingRule,
  TokenBucket,
  VethPair,
} from "../../src/kernel/kernel.ts";
import { systemError } from "../../src/kernel/netlink/netlink-error.ts";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import { ipFamily } from "../../src/lib/ip-addr.ts";
import { prefixFamily, prefixHasAddress, prefixLength } from "../../src/lib/prefix.ts";
import { FakeWireguard } from "./fake-wireguard.ts";

export type FakeTableName =
  | "routes"
  | "links"
  | "addresses"
  | "neighbors"
  | "fdb"
  | "rules"
  | "traffic"
  | "wireguard";

const [EEXIST, ENODEV] = [17, 19];
const protocolNames: Readonly<Record<number, string>> = { 2: "kernel", 3: "boot", 12: "bird" };

/**
 * A kernel in memory: tables with the real one's keys, that fail on request. It does not check what a
 * real one would (gateways that cannot be reached), and has no namespaces: a veth's peer is nowhere.
 */
export class FakeKernel implements Kernel {
  readonly #routes = new Map<string, KernelRoute>();
  readonly #links = new Map<number, KernelLink>();
  readonly #addresses = new Map<string, KernelAddress>();
  readonly #neighbors = new Map<string, KernelNeighbor>();
  readonly #fdb = new Map<string, FdbEntry>();
  readonly #rules = new Map<string, RoutingRule>();
  readonly #withoutOffload = new Set<string>();
  readonly #failures = new Map<FakeTableName, number[]>();
  readonly #listeners = new Set<(events: readonly KernelEvent[]) => void>();
  #nextIfindex = 1;

  constructor() {
    this.#add("lo", { mtu: 65_536 });
  }

  /**
   * The next entry that is written to the table is refused with this number; a list is not. Called
   * more often: so many entries.
   */
  failNext(table: FakeTableName, errno: number): void {
    const numbers = this.#failures.get(table) ?? [];
    this.#failures.set(table, [...numbers, errno]);
  }

  /** A physical link. Gives its index. */
  addLink(name: string, more: Partial<KernelLink> = {}): number {
    return this.#add(name, more);
  }

  /** What the kernel would tell of. */
  emit(...events: readonly KernelEvent[]): void {
    for (const listener of this.#listeners) listener(events);
  }

  /** All routes of a table as `ip route` shows them, sorted. */
  text(table = 254): string[] {
    const routes = [...this.#routes.values()].filter((route) => route.table === table);
    return routes.map((route) => this.#routeText(route)).sort();
  }

  readonly routes: Kernel["routes"] = {
    list: async ({ family, table, protocol } = {}) =>
      [...this.#routes.values()].filter(
        (route) =>
          (family === undefined || prefixFamily(route.destination) === family) &&
          (table === undefined || route.table === table) &&
          (protocol === undefined || route.protocol === protocol),
      ),
    replace: async (routes) =>
      this.#each("routes", routes, (route) => this.#routes.set(routeKey(route), route)),
    remove: async (routes) =>
      this.#each("routes", routes, (route) => {
        const present = this.#routes.get(routeKey(route));
        if (present?.protocol === route.protocol) this.#routes.delete(routeKey(route));
      }),
    lookup: async (destination) => this.#longestMatch(destination),
  };

  readonly links: Kernel["links"] = {
    list: async () => [...this.#links.values()],
    get: async (target) =>
      [...this.#links.values()].find(({ name, ifindex }) => target === name || target === ifindex),
    addVeth: async (pair: VethPair) => {
      const { name, mac, mtu = 1500 } = pair;
      this.#create(name, { type: "veth", mtu, ...(mac === undefined ? {} : { mac }) });
    },
    addVxlan: async ({ name, mac, mtu, ...vxlan }) => {
      this.#create(name, { type: "vxlan", mac, mtu, vxlan });
    },
    addTap: async (name) => {
      this.#create(name, { type: "tun", up: false, running: false });
    },
    addIpip: async (name) => {
      this.#create(name, { type: "ipip", up: false, running: false });
    },
    addIp6Tunnel: async (name, mtu) => {
      this.#create(name, { type: "ip6tnl", mtu, up: false, running: false });
    },
    addSit: async (name, { local, mtu }) => {
      this.#create(name, { type: "sit", mtu, sitLocal: local, up: false, running: false });
    },
    addIfb: async (name, mtu) => {
      this.#create(name, { type: "ifb", mtu });
    },
    addWireguard: async (name, mtu) => {
      this.#create(name, { type: "wireguard", mtu, up: false, running: false });
    },
    addBridge: async (name) => {
      this.#create(name, { type: "bridge" });
    },
    offloadsChecksum: async (name) => !this.#withoutOffload.has(name),
    setChecksumOffload: async (name, on) => {
      if (on) this.#withoutOffload.delete(name);
      else this.#withoutOffload.add(name);
    },
    set: async (ifindex, { up, mtu, mac, name }) => {
      this.#refuse("links", "Cannot change link");
      const link = this.#links.get(ifindex);
      if (link === undefined) throw systemError(`Cannot change link ${ifindex}`, ENODEV);
      const change = { up, running: up, mtu, mac, name };
      const given = Object.entries(change).filter(([, value]) => value !== undefined);
      this.#links.set(ifindex, { ...link, ...Object.fromEntries(given) });
    },
    remove: async (ifindex) => {
      this.#refuse("links", "Cannot remove link");
      this.#links.delete(ifindex);
      dropOf(ifindex, this.#routes, this.#addresses, this.#neighbors, this.#fdb);
    },
  };

  readonly addresses: Kernel["addresses"] = {
    list: async ({ ifindex, family } = {}) =>
      [...this.#addresses.values()].filter(
        (entry) =>
          (ifindex === undefined || entry.ifindex === ifindex) &&
          (family === undefined || ipFamily(entry.address) === family),
      ),
    add: async ({ noDad: _noDad, ...address }) => {
      this.#refuse("addresses", "Cannot add address");
      const { ifindex } = address;
      if (!this.#links.has(ifindex)) throw systemError("Cannot add address", ENODEV);
      const key = addressKey(address);
      if (!this.#addresses.has(key)) this.#addresses.set(key, { scope: "universe", ...address });
    },
    remove: async (address) => {
      this.#refuse("addresses", "Cannot remove address");
      this.#addresses.delete(addressKey(address));
    },
  };

  readonly neighbors: Kernel["neighbors"] = {
    list: async ({ ifindex, family } = {}) =>
      [...this.#neighbors.values()].filter(
        (entry) =>
          (ifindex === undefined || entry.ifindex === ifindex) &&
          (family === undefined || ipFamily(entry.address) === family),
      ),
    replace: async (entries) =>
      this.#each("neighbors", entries, (entry) =>
        this.#neighbors.set(neighborKey(entry), { ...entry, state: "permanent" }),
      ),
    remove: async (entries) =>
      this.#each("neighbors", entries, (entry) => this.#neighbors.delete(neighborKey(entry))),
  };

  readonly fdb: Kernel["fdb"] = {
    list: async (ifindex) => [...this.#fdb.values()].filter((entry) => entry.ifindex === ifindex),
    replace: async (entries) =>
      this.#each("fdb", entries, (entry) => this.#fdb.set(fdbKey(entry), entry)),
    remove: async (entries) =>
      this.#each("fdb", entries, (entry) => {
        const present = this.#fdb.get(fdbKey(entry));
        if (present?.destination === entry.destination) this.#fdb.delete(fdbKey(entry));
      }),
  };

  readonly rules: Kernel["rules"] = {
    list: async (family) => [...this.#rules.values()].filter((rule) => rule.family === family),
    add: async (rule) => {
      this.#refuse("rules", "Cannot add routing rule");
      this.#rules.set(JSON.stringify(rule), rule);
    },
    remove: async (rule) => {
      this.#refuse("rules", "Cannot remove routing rule");
      this.#rules.delete(JSON.stringify(rule));
    },
  };

  readonly #limits = new Map<number, TokenBucket>();
  readonly #redirects = new Map<number, number | undefined>();

  readonly traffic: Kernel["traffic"] = {
    list: async () => ({ limits: new Map(this.#limits), redirects: new Map(this.#redirects) }),
    limit: async (ifindex, bucket) => {
      this.#refuse("traffic", `Cannot limit the bandwidth of link ${ifindex}`);
      this.#limits.set(ifindex, bucket);
    },
    redirect: async (ifindex, toIfindex) => {
      this.#refuse("traffic", `Cannot redirect what comes in by link ${ifindex}`);
      this.#redirects.set(ifindex, toIfindex);
    },
    remove: async (ifindex, place) => {
      (place === "root" ? this.#limits : this.#redirects).delete(ifindex);
    },
  };

  readonly wireguard: FakeWireguard = new FakeWireguard(this.#links, () =>
    this.#refuse("wireguard", "Cannot change WireGuard device"),
  );

  indexOf(name: string): number | undefined {
    return [...this.#links.values()].find((link) => link.name === name)?.ifindex;
  }

  async configure({ up, routes, addresses }: InterfaceSetup): Promise<void> {
    for (const ifindex of up) await this.links.set(ifindex, { up: true });
    const [refused] = await this.routes.replace(routes);
    if (refused !== undefined) throw systemError("Cannot add the route", refused.errno);
    for (const address of addresses) await this.addresses.add(address);
  }

  monitor(onEvents: (events: readonly KernelEvent[]) => void, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    this.#listeners.add(onEvents);
    return new Promise((resolve) => {
      const stop = () => {
        this.#listeners.delete(onEvents);
        resolve();
      };
      signal.addEventListener("abort", stop, { once: true });
    });
  }

  close(): void {
    this.#listeners.clear();
  }

  #add(name: string, more: Partial<KernelLink>): number {
    const ifindex = this.#nextIfindex++;
    const link = { ifindex, name, up: true, running: true, mtu: 1500, ...more };
    this.#links.set(ifindex, link);
    return ifindex;
  }

  #create(name: string, more: Partial<KernelLink>): void {
    this.#refuse("links", `Cannot add link ${name}`);
    const taken = [...this.#links.values()].some((link) => link.name === name);
    if (taken) throw systemError(`Cannot add link ${name}`, EEXIST);
    this.#add(name, more);
  }

  #refuse(table: FakeTableName, what: string): void {
    const errno = this.#failures.get(table)?.shift();
    if (errno !== undefined) throw systemError(what, errno);
  }

  #each<Entry>(
    table: FakeTableName,
    entries: readonly Entry[],
    act: (entry: Entry) => void,
  ): KernelFailure<Entry>[] {
    return entries.flatMap((entry) => {
      const errno = this.#failures.get(table)?.shift();
      if (errno !== undefined) return [{ entry, errno, message: `errno ${errno}` }];
      act(entry);
      return [];
    });
  }

  #longestMatch(destination: IpAddr): KernelRoute | undefined {
    return [...this.#routes.values()]
      .filter((route) => prefixHasAddress(route.destination, destination))
      .sort(
        (a, b) =>
          prefixLength(b.destination) - prefixLength(a.destination) || a.priority - b.priority,
      )
      .find(({ kind }) => kind === "unicast" || kind === "local");
  }

  #routeText(route: KernelRoute): string {
    const { kind, destination, protocol, scope, source, mtu, priority, nextHops, encap } = route;
    const hop = (of: { gateway?: IpAddr; ifindex?: number; onlink?: boolean }) => [
      of.gateway && `via ${of.gateway}`,
      of.ifindex && `dev ${this.#nameOf(of.ifindex)}`,
    ];
    return [
      kind === "unicast" ? undefined : kind,
      /^(0\.0\.0\.0|::)\/0$/.test(destination) ? "default" : destination.replace(/\/(32|128)$/, ""),
      encap && `encap ip6 src ${encap.source} dst ${encap.destination}`,
      ...hop(route),
      protocol === 3 ? undefined : `proto ${protocolNames[protocol] ?? protocol}`,
      scope === "universe" ? undefined : `scope ${scope}`,
      source && `src ${source}`,
      priority === 0 ? undefined : `metric ${priority}`,
      route.onlink === true ? "onlink" : undefined,
      mtu && `mtu ${mtu}`,
      ...(nextHops ?? []).flatMap((of) => ["nexthop", ...hop(of), `weight ${of.weight ?? 1}`]),
    ]
      .filter(Boolean)
      .join(" ");
  }

  #nameOf(ifindex: number): string {
    return this.#links.get(ifindex)?.name ?? `if${ifindex}`;
  }
}

function dropOf(ifindex: number, ...tables: readonly Map<string, { ifindex?: number }>[]): void {
  for (const table of tables) {
    for (const [key, entry] of table) if (entry.ifindex === ifindex) table.delete(key);
  }
}

function addressKey({ ifindex, address, length }: Omit<KernelAddress, "scope">): string {
  return `${ifindex} ${address}/${length}`;
}

function neighborKey({ ifindex, address }: KernelNeighbor): string {
  return `${ifindex} ${address}`;
}

function fdbKey({ ifindex, mac }: FdbEntry): string {
  return `${ifindex} ${mac}`;
}
