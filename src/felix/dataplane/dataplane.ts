import { setImmediate } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { ExecHelper } from "../../kernel/exec-helper.ts";
import { routeKey } from "../../kernel/ip/route-identity.ts";
import type { IptablesBackend } from "../../kernel/iptables/backend.ts";
import { TableMemory } from "../../kernel/iptables/table-memory.ts";
import type { IptablesTable } from "../../kernel/iptables/tables.ts";
import type { Kernel, KernelAddress, KernelEvent, KernelLink } from "../../kernel/kernel.ts";
import { openNftGeneration } from "../../kernel/nft-generation.ts";
import type { Clock } from "../../lib/clock.ts";
import { getOrCreate } from "../../lib/collections.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import { prefixFamily } from "../../lib/prefix.ts";
import type { DataplaneUpdate, LocalEndpoint, UpdateKind } from "../calc/updates.ts";
import type { FelixConfig } from "../config/felix-config.ts";
import type { DenialContext } from "../denials/denial-log.ts";
import type { FelixSizes } from "../metrics/felix-metrics.ts";
import type { Refreshed } from "../refresh-timers.ts";
import { dscpSources } from "../rules/dscp-chain.ts";
import type { RulesConfig } from "../rules/rules-config.ts";
import { BandwidthManager } from "./bandwidth-manager.ts";
import { EndedConnections } from "./ended-connections.ts";
import { EndpointManager, type PresentEndpoint } from "./endpoint-manager.ts";
import { EndpointStatusFiles } from "./endpoint-status.ts";
import { EndpointSysctls, kernelHasIpv6 } from "./endpoint-sysctls.ts";
import { FamilyPart, type KernelSets } from "./family-part.ts";
import { HostEndpointManager } from "./host-endpoint-manager.ts";
import { KernelLinks } from "./kernel-links.ts";
import { type DesiredState, KernelState, type StateReport } from "./kernel-state.ts";
import { KnownAddresses } from "./known-addresses.ts";
import { PolicyManager } from "./policy-manager.ts";
import { ifbPrefix } from "./token-bucket.ts";
import { Tunnels, type WireguardKeys } from "./tunnels.ts";

export interface DataplanePorts {
  readonly kernel: Kernel;
  readonly exec: ExecHelper;
  readonly backend: IptablesBackend;
  readonly log: Logger;
  readonly clock: Clock;
  /** The kernel's IP sets of a family, unless said otherwise. */
  openSets?(family: IpFamily): KernelSets;
  /** Whether this kernel has IPv6, where that is not to be asked of it. */
  hasIpv6?(): boolean;
  /** Sets what pods' interfaces are to have: the kernel's own, unless said otherwise. */
  writeSysctl?(path: readonly string[], value: string): void;
}

/** False when the step failed: its error is remembered. */
type Attempt = (step: () => Promise<unknown>) => Promise<boolean>;

interface AppliedState extends StateReport {
  /** Endpoints that had an interface. */
  readonly present: readonly PresentEndpoint[];
}

/** Changes of others do not change any chain. */
const chainKinds: ReadonlySet<UpdateKind> = new Set([
  "policy",
  "profile",
  "workloadEndpoint",
  "hostEndpoint",
  "pool",
  "serviceCidrs",
]);

/** Changes of these change nothing but chains and sets. */
const ruleKinds: ReadonlySet<UpdateKind> = new Set(["policy", "profile", "ipSet"]);

/**
 * Makes this node's kernel what the calculation graph says. Updates and kernel events only mark and
 * remember; `apply` does the work, in the order of facts 4.1: what others refer to before what refers
 * to it, removals after. What fails stays dirty; what depends on it waits; the rest goes on.
 */
export class Dataplane {
  readonly #config: FelixConfig;
  readonly #ports: DataplanePorts;
  readonly #links: KernelLinks;
  readonly #endpoints: EndpointManager;
  readonly #hosts = new HostEndpointManager();
  readonly #policies = new PolicyManager();
  readonly #tunnels: Tunnels;
  readonly #state: KernelState;
  readonly #sysctls: EndpointSysctls;
  readonly #ended: EndedConnections;
  readonly #bandwidth: BandwidthManager;
  readonly #memory: TableMemory;
  readonly #parts: readonly FamilyPart[];
  readonly #status: EndpointStatusFiles | undefined;
  readonly #addresses: KnownAddresses;
  #programmed: ReadonlyMap<string, LocalEndpoint> = new Map();
  #chainsDirty = true;
  /** Links, addresses, routes and sysctls want a look. */
  #stateDirty = true;
  #rules: RulesConfig;

  constructor(nodeName: string, config: FelixConfig, ports: DataplanePorts) {
    this.#config = config;
    this.#rules = config.rules;
    this.#ports = ports;
    this.#links = new KernelLinks(ports.kernel.links, ports.clock);
    this.#endpoints = new EndpointManager(config, this.#links);
    this.#state = new KernelState(ports, this.#links, config);
    this.#ended = new EndedConnections(ports);
    this.#bandwidth = new BandwidthManager(ports.kernel, this.#links);
    this.#addresses = new KnownAddresses(ports.kernel.addresses);
    const ipv6 = config.ipv6Support && (ports.hasIpv6?.() ?? kernelHasIpv6());
    const { writeSysctl: write } = ports;
    this.#sysctls = new EndpointSysctls({ ipv6, ...(write === undefined ? {} : { write }) });
    const families: IpFamily[] = ipv6 ? [4, 6] : [4];
    this.#memory = new TableMemory(ports.backend.kind === "nft" ? openNftGeneration() : undefined);
    const of = { config, ports, memory: this.#memory };
    this.#parts = families.map((family) => new FamilyPart(family, of));
    const { kernel, log } = ports;
    this.#tunnels = new Tunnels(nodeName, this.#parts, { config, kernel, log });
    this.#status =
      config.endpointStatusFolder === undefined
        ? undefined
        : new EndpointStatusFiles(config.endpointStatusFolder);
  }

  get ruleTables(): readonly IptablesTable[] {
    return this.#parts.flatMap(({ rules }) => rules.tables);
  }

  /** Nothing may be asked of it any more. */
  close(): void {
    this.#memory.close();
    for (const part of this.#parts) part.close();
  }

  /** When an apply has something to do that no event tells of; undefined: never. */
  get dueInMs(): number | undefined {
    return this.#state.dueInMs;
  }

  /** How many chains, rules, sets and routes of ours there are. */
  sizes(): Pick<FelixSizes, "tables" | "sets" | "routes"> {
    const routes = [...this.#state.routes];
    return {
      routes: this.#parts.map(({ family }) => {
        const own = routes.filter(({ destination }) => prefixFamily(destination) === family);
        const interfaces = new Set(own.map(({ ifindex }) => ifindex)).size;
        return { family, count: own.length, interfaces };
      }),
      tables: this.ruleTables.map(({ table, family, size }) => ({ table, family, ...size })),
      sets: this.#parts.map(({ family, setCount }) => ({ family, count: setCount })),
    };
  }

  /** What is wanted at this moment, for who tells people of it. */
  get wanted(): DenialContext {
    const { policies, profiles } = this.#policies;
    return { policies, profiles, endpoints: this.#endpoints.all };
  }

  /** WireGuard's public keys of this node: of its devices, and as the datastore has them. */
  get wireguardKeys(): WireguardKeys {
    return this.#tunnels.keys;
  }

  onUpdates(updates: readonly DataplaneUpdate[]): void {
    for (const update of updates) {
      this.#endpoints.onUpdate(update);
      this.#hosts.onUpdate(update);
      this.#policies.onUpdate(update);
      this.#tunnels.onUpdate(update);
      for (const part of this.#parts) part.onUpdate(update);
    }
    this.#chainsDirty ||= updates.some(({ kind }) => chainKinds.has(kind));
    this.#stateDirty ||= updates.some(({ kind }) => !ruleKinds.has(kind));
  }

  /** @returns whether an apply is wanted: what we did ourselves comes back as events too. */
  onKernelEvents(events: readonly KernelEvent[]): boolean {
    let wanted = false;
    for (const event of events) {
      const before = event.kind === "link" ? this.#links.byName(event.link.name) : undefined;
      this.#links.take(event);
      wanted = this.#concerns(event, before) || wanted;
    }
    this.#stateDirty ||= wanted;
    return wanted;
  }

  #concerns(event: KernelEvent, before: KernelLink | undefined): boolean {
    switch (event.kind) {
      case "lost":
        this.resync();
        return true;
      case "link":
        return this.#concernsLink(event.link, event.op, before);
      case "address":
        return this.#concernsAddress(event.address, event.op);
      default:
        if (!this.#tunnels.drifts(event)) return this.#state.drifts(event);
        this.#addresses.forget();
        return true;
    }
  }

  #concernsAddress({ address, ifindex }: KernelAddress, op: "set" | "removed"): boolean {
    if (!this.#isWorkloadInterface(ifindex)) this.#addresses.forget();
    const isKnown = this.#parts.some(({ setManager }) => setManager.isLocalAddress(address));
    return (
      (isKnown !== (op === "set") && !this.#isWorkloadInterface(ifindex)) ||
      this.#hosts.expects(address) ||
      this.#tunnels.isOwnAddress(address)
    );
  }

  /** What was on a link goes with it, or when it is set down, and the kernel does not tell of each. */
  #concernsLink(link: KernelLink, op: "set" | "removed", before: KernelLink | undefined): boolean {
    const ofTunnel = this.#tunnels.concernsLink(link);
    const used =
      ofTunnel ||
      this.#config.interfacePrefixes.some((prefix) => link.name.startsWith(prefix)) ||
      link.name.startsWith(ifbPrefix);
    if (!used) return false;
    if (ofTunnel) this.#addresses.forget();
    // A new pod's, whose endpoint is on its way: nothing is to be done for it before.
    const wentDown = before?.up === true && !link.up;
    if (op === "set" && !wentDown && this.#isUnknownWorkload(link.name)) return false;
    if (op === "removed") {
      this.#sysctls.forget(link);
      this.#bandwidth.resync();
    }
    if (op === "removed" || wentDown) {
      this.#state.resync();
      if (ofTunnel) this.#tunnels.resync();
    }
    return (
      op === "removed" ||
      before?.ifindex !== link.ifindex ||
      before.up !== link.up ||
      before.mtu !== link.mtu ||
      before.mac !== link.mac
    );
  }

  #isUnknownWorkload(name: string): boolean {
    const isWorkload = this.#config.interfacePrefixes.some((prefix) => name.startsWith(prefix));
    return isWorkload && !this.#endpoints.active().has(name);
  }

  /** The next apply looks at these in the kernel again; at everything, unless said. */
  resync(what?: ReadonlySet<Refreshed>): void {
    this.#stateDirty = true;
    if (what?.has("routes") !== false) {
      this.#state.resync();
      this.#tunnels.resync();
    }
    if (what?.has("interfaces") !== false) {
      this.#links.resync();
      this.#addresses.forget();
      this.#sysctls.resync();
      this.#bandwidth.resync();
    }
    for (const part of this.#parts) part.resync(what);
  }

  /** True when the endpoint's routes and policy, as last told, are in the kernel. */
  isProgrammed(id: string): boolean {
    const endpoint = this.#endpoints.all.get(id);
    return endpoint !== undefined && this.#programmed.get(id) === endpoint;
  }

  /** @throws {AggregateError} of what failed; the next apply tries it again. */
  async apply(): Promise<void> {
    const errors: unknown[] = [];
    const attempt: Attempt = async (step) => {
      try {
        await step();
        return true;
      } catch (error) {
        errors.push(error);
        return false;
      }
    };
    const all = this.#stateDirty || this.#endpoints.missingInterfaces().length > 0;
    // Cleared first: what happens while we work wants another look.
    this.#stateDirty = false;
    try {
      if (all) errors.push(...(await this.#lookAround()));
      const begun = Promise.withResolvers<void>();
      // While programs write the rules there is time for the rest.
      const [rules, meanwhile] = await Promise.all([
        this.#applyRules(attempt, begun.resolve).finally(begun.resolve),
        begun.promise.then(() => (all ? this.#applyState() : undefined)),
      ]);
      const state = rules && this.#mayFollow() ? await this.#applyState() : meanwhile;
      errors.push(...(state?.errors ?? []));
      if (state !== undefined && rules) await attempt(async () => this.#settle(state));
      for (const part of this.#parts) if (rules) await attempt(() => part.destroyUnusedSets());
    } catch (error) {
      errors.push(error);
    }
    if (errors.length === 0) return;
    this.#stateDirty = true;
    this.#chainsDirty = true;
    throw new AggregateError(errors, "Cannot program the kernel");
  }

  /** What the kernel has that decides what we want of it, and the tunnel devices. */
  async #lookAround(): Promise<readonly unknown[]> {
    await this.#links.refresh();
    const addresses = await this.#addresses.list();
    this.#resolveHosts(addresses);
    this.#tellSets(addresses);
    const ports = { kernel: this.#ports.kernel, links: this.#links };
    const { changed, errors } = await this.#tunnels.applyDevices(addresses, ports);
    this.#chainsDirty ||= changed;
    if (changed) this.#state.resync();
    return errors;
  }

  /**
   * Whether what happened while programs wrote the rules, a pod's interface that came say, can be done
   * at once: it changes no tunnel and no chain.
   */
  #mayFollow(): boolean {
    if (!this.#stateDirty || !this.#addresses.areKnown) return false;
    this.#stateDirty = false;
    return true;
  }

  /** All but rules and sets. */
  async #applyState(): Promise<AppliedState> {
    for (const name of this.#endpoints.missingInterfaces()) await this.#links.look(name);
    const present = this.#endpoints.present();
    const { allowSourceSpoofing } = this.#config.rules;
    const configured = present.map(({ link, endpoint }) => ({
      link,
      maySpoof: allowSourceSpoofing && endpoint.allowedSourcePrefixes.length > 0,
    }));
    const errors: unknown[] = [...this.#sysctls.apply(configured)];
    const state = await this.#state.apply(this.#desiredState());
    errors.push(...state.errors, ...(await this.#tunnels.applyPeers()));
    errors.push(...(await this.#bandwidth.apply(present)));
    await this.#ended.apply(
      new Map(
        present.flatMap(({ link, endpoint: { addresses } }) =>
          addresses.map((address) => [address, link.ifindex]),
        ),
      ),
    );
    return { ...state, errors, present };
  }

  /** Which endpoints are now wholly in the kernel: those that had an interface when we looked. */
  #settle({ present, failedRoutes }: AppliedState): void {
    const done = new Set(
      present
        .filter((one) =>
          this.#endpoints.routesOf(one).every((route) => !failedRoutes.has(routeKey(route))),
        )
        .map(({ endpoint }) => endpoint),
    );
    this.#programmed = new Map([...this.#endpoints.all].filter(([, one]) => done.has(one)));
    this.#status?.apply(this.#programmed);
  }

  #tellSets(addresses: readonly KernelAddress[]): void {
    // A pod's interface that is gone took its addresses along, though they are still listed here.
    const local = addresses.filter(
      ({ ifindex }) =>
        this.#links.nameOf(ifindex) !== undefined && !this.#isWorkloadInterface(ifindex),
    );
    for (const { family, setManager } of this.#parts) {
      setManager.localAddresses = local.map(({ address }) => address);
      const sources = dscpSources(this.#endpoints.active().values(), family);
      setManager.dscpSources = sources.map(({ address }) => address);
    }
  }

  #isWorkloadInterface(ifindex: number): boolean {
    const name = this.#links.nameOf(ifindex) ?? "";
    return this.#config.interfacePrefixes.some((prefix) => name.startsWith(prefix));
  }

  #resolveHosts(addresses: readonly KernelAddress[]): void {
    const byInterface = new Map<string, Set<IpAddr>>();
    for (const { address, ifindex } of this.#hosts.needsAddresses ? addresses : []) {
      const name = this.#links.nameOf(ifindex);
      const { interfacePrefixes, excludedInterfaces } = this.#config;
      if (name === undefined || interfacePrefixes.some((prefix) => name.startsWith(prefix)))
        continue;
      if (excludedInterfaces.some((pattern) => pattern.test(name))) continue;
      getOrCreate(byInterface, name, () => new Set()).add(address);
    }
    const { changed, problems } = this.#hosts.resolve(byInterface);
    this.#chainsDirty ||= changed;
    for (const problem of problems) this.#ports.log.warn(problem, "host endpoint has no effect");
  }

  /** Calls `onBegun` when nothing is left but to wait. */
  async #applyRules(attempt: Attempt, onBegun: () => void): Promise<boolean> {
    if (!this.#chainsDirty && !this.#parts.some(({ rules }) => rules.dirty)) {
      const sets = this.#parts.map((part) => attempt(() => part.applySets()));
      return (await Promise.all(sets)).every(Boolean);
    }
    return this.#memory.round(async () => {
      for (const part of this.#parts) part.rules.readAhead();
      const rendering = this.#chainsDirty;
      this.#chainsDirty = false;
      const applied: Promise<boolean>[] = [];
      for (const part of this.#parts) {
        if (rendering) this.#renderChains(part);
        // A set that fails need not stop the rules: those that need it fail by themselves.
        const sets = await attempt(() => part.applySets());
        applied.push(attempt(() => part.applyRules()).then((rules) => rules && sets));
        // Its programs begin before the next family's chains are rendered.
        await setImmediate();
      }
      onBegun();
      return (await Promise.all(applied)).every(Boolean);
    });
  }

  #renderChains(part: FamilyPart): void {
    const parts = { endpoints: this.#endpoints, hosts: this.#hosts, policies: this.#policies };
    part.renderChains(parts, this.#rulesConfig(), (name, err) =>
      this.#ports.log.error({ chain: name, err }, "rules cannot be rendered"),
    );
  }

  #rulesConfig(): RulesConfig {
    const rules = { ...this.#config.rules, ...this.#tunnels.rulesConfig() };
    // The same object while it says the same: chains are rendered anew for another.
    if (!isDeepStrictEqual(rules, this.#rules)) this.#rules = rules;
    return this.#rules;
  }

  #desiredState(): DesiredState {
    const { routes, neighbors, ...rest } = this.#tunnels.desiredState();
    const pods = this.#endpoints.routes();
    // Of a conflict they are the best class (facts 4.8), whatever the metrics.
    const ofPods = new Set(pods.map(({ destination }) => destination));
    const others = routes.filter(({ destination }) => !ofPods.has(destination));
    const wanted = [...others, ...pods].filter(({ destination }) =>
      this.#parts.some(({ family }) => family === prefixFamily(destination)),
    );
    return {
      routes: wanted,
      neighbors: [...this.#endpoints.neighbors(), ...neighbors],
      ...rest,
    };
  }
}
