import type { ExecHelper } from "../../kernel/exec-helper.ts";
import { IpSets } from "../../kernel/ipset/ip-sets.ts";
import type { IptablesBackend } from "../../kernel/iptables/backend.ts";
import type { IptablesTable } from "../../kernel/iptables/tables.ts";
import type { Kernel, KernelEvent, KernelLink } from "../../kernel/kernel.ts";
import { ipSetPrefixes } from "../../kernel/ownership.ts";
import { readSysctl, writeSysctl } from "../../kernel/sysctl.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import type { DataplaneUpdate, LocalEndpoint, PoolClass } from "../calc/updates.ts";
import type { FelixConfig } from "../config.ts";
import type { RulesConfig } from "../rules/rules-config.ts";
import { EndpointManager, interfaceSysctls } from "./endpoint-manager.ts";
import { EndpointStatusFiles } from "./endpoint-status.ts";
import { IpSetManager } from "./ip-set-manager.ts";
import { KernelLinks } from "./kernel-links.ts";
import {
  fdbKey,
  fdbTable,
  isOwnRoute,
  neighborKey,
  neighborTable,
  routeKey,
  routeTable,
  sameRoute,
} from "./kernel-tables.ts";
import { PolicyManager } from "./policy-manager.ts";
import { RouteManager } from "./route-manager.ts";
import { allChains } from "./rule-set.ts";
import { RuleTables } from "./rule-tables.ts";
import { VxlanManager } from "./vxlan-manager.ts";

export interface DataplanePorts {
  readonly kernel: Kernel;
  readonly exec: ExecHelper;
  readonly backend: IptablesBackend;
  readonly log: Logger;
}

/** The parts that there are once for IPv4 and once for IPv6. */
interface FamilyPart {
  readonly family: IpFamily;
  readonly setManager: IpSetManager;
  readonly sets: IpSets;
  readonly rules: RuleTables;
  readonly vxlan: VxlanManager;
  vxlanLink: KernelLink | undefined;
}

/**
 * Makes this node's kernel what the calculation graph says. Updates and kernel events only mark and
 * remember; `apply` does the work, in the order of facts 4.1: what others refer to before what refers
 * to it, removals after. What fails stays dirty; what depends on it waits; the rest goes on.
 */
export class Dataplane {
  readonly #config: FelixConfig;
  readonly #nodeName: string;
  readonly #ports: DataplanePorts;
  readonly #links: KernelLinks;
  readonly #endpoints: EndpointManager;
  readonly #policies = new PolicyManager();
  readonly #routes: RouteManager;
  readonly #routeTable: ReturnType<typeof routeTable>;
  readonly #neighborTable: ReturnType<typeof neighborTable>;
  readonly #fdbTable: ReturnType<typeof fdbTable>;
  readonly #parts: readonly FamilyPart[];
  readonly #status: EndpointStatusFiles | undefined;
  readonly #rpFilter = readSysctl(["net", "ipv4", "conf", "default", "rp_filter"]);
  readonly #configured = new Map<string, number>();
  #programmed: ReadonlyMap<string, LocalEndpoint> = new Map();
  readonly #endpointIds = new Map<string, LocalEndpoint>();
  #chainsDirty = true;

  constructor(nodeName: string, config: FelixConfig, ports: DataplanePorts) {
    this.#config = config;
    this.#nodeName = nodeName;
    this.#ports = ports;
    const { kernel } = ports;
    this.#links = new KernelLinks(kernel.links);
    this.#endpoints = new EndpointManager(config, this.#links);
    this.#routes = new RouteManager(ownedClasses(config));
    this.#routeTable = routeTable(kernel, this.#links, config);
    this.#neighborTable = neighborTable(kernel, this.#links, config);
    this.#fdbTable = fdbTable(kernel, this.#links);
    const families: IpFamily[] = config.ipv6Support ? [4, 6] : [4];
    this.#parts = families.map((family) => ({
      family,
      setManager: new IpSetManager(family),
      sets: new IpSets(family, ipSetPrefixes[family]),
      rules: new RuleTables(
        { family, backend: ports.backend, insertMode: config.chainInsertMode },
        ports,
      ),
      vxlan: new VxlanManager(family, nodeName, config),
      vxlanLink: undefined,
    }));
    this.#status =
      config.endpointStatusFolder === undefined
        ? undefined
        : new EndpointStatusFiles(config.endpointStatusFolder);
  }

  get ruleTables(): readonly IptablesTable[] {
    return this.#parts.flatMap(({ rules }) => rules.tables);
  }

  onUpdates(updates: readonly DataplaneUpdate[]): void {
    for (const update of updates) {
      this.#endpoints.onUpdate(update);
      this.#policies.onUpdate(update);
      this.#routes.onUpdate(update);
      for (const { setManager, vxlan } of this.#parts) {
        setManager.onUpdate(update);
        vxlan.onUpdate(update);
      }
      if (update.kind === "workloadEndpoint") {
        if (update.op === "set") this.#endpointIds.set(update.id, update.value);
        else this.#endpointIds.delete(update.id);
      }
    }
    this.#chainsDirty ||= updates.some(({ kind }) => kind !== "route" && kind !== "vtep");
  }

  /** @returns whether an apply is wanted: what we did ourselves comes back as events too. */
  onKernelEvents(events: readonly KernelEvent[]): boolean {
    let wanted = false;
    for (const event of events) {
      this.#links.take(event);
      wanted = this.#concerns(event) || wanted;
    }
    return wanted;
  }

  #concerns(event: KernelEvent): boolean {
    switch (event.kind) {
      case "lost":
        this.resync();
        return true;
      case "link":
        return this.#concernsLink(event.link, event.op);
      case "address":
        return event.op === "removed";
      case "route": {
        const { route } = event;
        const desired = this.#routeTable.desired.get(routeKey(route));
        const drifted =
          event.op === "removed"
            ? desired !== undefined && sameRoute(desired, route)
            : isOwnRoute(route, this.#links, this.#config) &&
              (desired === undefined || !sameRoute(desired, route));
        if (drifted) this.#routeTable.resync();
        return drifted;
      }
      case "neighbor": {
        const { neighbor } = event;
        const desired = this.#neighborTable.desired.get(neighborKey(neighbor));
        const drifted =
          desired !== undefined && (event.op === "removed" || neighbor.mac !== desired.mac);
        if (drifted) this.#neighborTable.resync();
        return drifted;
      }
    }
  }

  /** Routes, neighbors and forwarding entries go with their link: all are listed again. */
  #concernsLink({ name, ifindex }: KernelLink, op: "set" | "removed"): boolean {
    const ofWorkload = this.#config.interfacePrefixes.some((prefix) => name.startsWith(prefix));
    const tunnel = this.#parts.some(({ vxlan }) => vxlan.deviceName === name);
    if (op === "removed" && this.#configured.get(name) === ifindex) this.#configured.delete(name);
    if (op === "removed" && (ofWorkload || tunnel)) this.#resyncRoutes();
    return ofWorkload || tunnel;
  }

  #resyncRoutes(): void {
    this.#routeTable.resync();
    this.#neighborTable.resync();
    this.#fdbTable.resync();
  }

  /** The next apply looks at everything in the kernel again. */
  resync(): void {
    this.#resyncRoutes();
    this.#configured.clear();
    for (const { sets, rules } of this.#parts) {
      sets.resync();
      for (const table of rules.tables) table.invalidate();
    }
  }

  isProgrammed(id: string): boolean {
    const endpoint = this.#endpointIds.get(id);
    return endpoint !== undefined && this.#programmed.get(id) === endpoint;
  }

  /** @throws {AggregateError} of what failed; the next apply tries it again. */
  async apply(): Promise<void> {
    const errors: unknown[] = [];
    const attempt = async (step: () => Promise<unknown>): Promise<boolean> => {
      try {
        await step();
        return true;
      } catch (error) {
        errors.push(error);
        return false;
      }
    };
    const endpoints = new Map(this.#endpointIds);
    await this.#links.refresh();
    for (const name of this.#endpoints.missingInterfaces()) await this.#links.look(name);
    const parents = await this.#parentIfindexes();
    for (const part of this.#parts) {
      await attempt(() => this.#applyVxlanDevice(part, parents[part.family]));
    }
    this.#applySysctls(errors);
    const [rules, routes] = await Promise.all([
      attempt(() => this.#applyRules()),
      attempt(() => this.#applyRoutes(parents)),
    ]);
    if (rules && routes) this.#settle(endpoints);
    if (rules) await attempt(() => this.#destroyUnusedSets());
    if (errors.length > 0) throw new AggregateError(errors, "Cannot program the kernel");
  }

  /** Which endpoints are now wholly in the kernel. */
  #settle(endpoints: ReadonlyMap<string, LocalEndpoint>): void {
    const present = new Set(this.#endpoints.presentInterfaces().map(({ link }) => link.name));
    this.#programmed = new Map(
      [...endpoints].filter(([, { interfaceName }]) => present.has(interfaceName)),
    );
    this.#status?.apply(this.#programmed);
  }

  async #parentIfindexes(): Promise<Partial<Record<IpFamily, number>>> {
    const parents: Partial<Record<IpFamily, number>> = {};
    const addresses = await this.#ports.kernel.addresses.list();
    for (const { family, setManager } of this.#parts) {
      const own = setManager.hostAddress(this.#nodeName);
      const found = addresses.find(({ address }) => address === own);
      if (found !== undefined) parents[family] = found.ifindex;
    }
    return parents;
  }

  async #applyVxlanDevice(part: FamilyPart, parentIfindex: number | undefined): Promise<void> {
    const { vxlan, setManager } = part;
    const parent = this.#links.byName(this.#links.nameOf(parentIfindex) ?? "");
    const before = part.vxlanLink?.ifindex;
    part.vxlanLink = await vxlan.applyDevice(setManager.usesVxlan, parent, {
      kernel: this.#ports.kernel,
      links: this.#links,
    });
    if (part.vxlanLink?.ifindex === before) return;
    this.#chainsDirty = true;
    this.#resyncRoutes();
  }

  /** Once an interface, and again when one of its name was made anew. */
  #applySysctls(errors: unknown[]): void {
    for (const { link } of this.#endpoints.presentInterfaces()) {
      if (this.#configured.get(link.name) === link.ifindex) continue;
      try {
        const options = { rpFilter: this.#rpFilter, ipv6: this.#config.ipv6Support };
        for (const [path, value] of interfaceSysctls(link.name, options)) writeSysctl(path, value);
        this.#configured.set(link.name, link.ifindex);
      } catch (error) {
        // An interface that is gone again needs nothing: its event is on the way.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") errors.push(error);
      }
    }
  }

  async #applyRules(): Promise<void> {
    for (const part of this.#parts) {
      if (this.#chainsDirty) this.#renderChains(part);
      const wanted = part.setManager.sets();
      for (const [name, set] of wanted) part.sets.set(name, set);
      for (const name of part.sets.desiredNames()) if (!wanted.has(name)) part.sets.delete(name);
      await part.sets.apply(part.rules.neededSets());
    }
    this.#chainsDirty = false;
    await Promise.all(this.#parts.map(({ rules }) => rules.apply()));
  }

  #renderChains({ family, setManager, rules }: FamilyPart): void {
    const config = this.#rulesConfig();
    const parts = {
      endpoints: this.#endpoints,
      policies: this.#policies,
      natOutgoing: setManager.natOutgoing,
    };
    const chains = allChains(parts, { rules: config, family }, (id, err) =>
      this.#ports.log.error({ policy: id, err }, "policy cannot be rendered"),
    );
    rules.setAll(chains, config);
  }

  #rulesConfig(): RulesConfig {
    const of = (family: IpFamily) => this.#parts.find((part) => part.family === family);
    const device = (family: IpFamily) => {
      const part = of(family);
      return part?.vxlanLink === undefined ? {} : { [family]: part.vxlan.deviceName };
    };
    return {
      ...this.#config.rules,
      vxlanEnabled: {
        4: of(4)?.setManager.usesVxlan ?? false,
        6: of(6)?.setManager.usesVxlan ?? false,
      },
      vxlanDevice: { ...device(4), ...device(6) },
    };
  }

  async #applyRoutes(parents: Partial<Record<IpFamily, number>>): Promise<void> {
    const vxlanIfindex: Partial<Record<IpFamily, number>> = {};
    const neighbors = this.#endpoints.neighbors();
    const entries = [];
    for (const { family, vxlan, vxlanLink } of this.#parts) {
      if (vxlanLink === undefined) continue;
      vxlanIfindex[family] = vxlanLink.ifindex;
      neighbors.push(...vxlan.neighbors(vxlanLink.ifindex));
      entries.push(...vxlan.fdbEntries(vxlanLink.ifindex));
    }
    const routes = this.#routes.routes({
      vteps: this.#parts[0]?.vxlan.vteps ?? new Map(),
      parentIfindex: parents,
      vxlanIfindex,
      deviceRouteProtocol: this.#config.deviceRouteProtocol,
    });
    // Local pods come last: theirs is the best class of a conflict (facts 4.8).
    const all = [...routes, ...this.#endpoints.routes()];
    this.#fdbTable.replaceAll(new Map(entries.map((entry) => [fdbKey(entry), entry])));
    this.#neighborTable.replaceAll(new Map(neighbors.map((entry) => [neighborKey(entry), entry])));
    this.#routeTable.replaceAll(new Map(all.map((route) => [routeKey(route), route])));
    for (const table of [this.#fdbTable, this.#neighborTable, this.#routeTable]) {
      const { failed } = await table.apply();
      for (const [key, reason] of failed) throw new Error(`Cannot program "${key}": ${reason}`);
    }
  }

  async #destroyUnusedSets(): Promise<void> {
    for (const { sets, rules } of this.#parts) {
      const needed = rules.neededSets();
      for (let more = true; more; ) more = await sets.destroyUnused(needed);
    }
  }
}

/** Classes of pools whose routes felix programs (facts 0.1): VXLAN always. */
function ownedClasses({ programClusterRoutes }: FelixConfig): ReadonlySet<PoolClass> {
  const noEncap =
    programClusterRoutes === "Enabled" || programClusterRoutes === "EnabledNoEncapOnly";
  return new Set<PoolClass>(noEncap ? ["vxlan", "noEncap"] : ["vxlan"]);
}
