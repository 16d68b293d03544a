import { routeKey, sameRoute } from "../../kernel/ip/route-identity.ts";
import type {
  FdbEntry,
  Kernel,
  KernelEvent,
  KernelNeighbor,
  KernelRoute,
} from "../../kernel/kernel.ts";
import type { ApplyReport } from "../../kernel/synced-table.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Prefix } from "../../lib/prefix.ts";
import { AwaitedRoutes } from "./awaited-routes.ts";
import type { KernelLinks } from "./kernel-links.ts";
import {
  fdbKey,
  fdbTable,
  isOwnRoute,
  isTunnelDevice,
  neighborKey,
  neighborTable,
  type OwnershipConfig,
  routeTable,
} from "./kernel-tables.ts";

/** What the netlink tables must hold. */
export interface DesiredState {
  readonly routes: readonly KernelRoute[];
  readonly neighbors: readonly KernelNeighbor[];
  readonly fdbEntries: readonly FdbEntry[];
  /** Destinations whose routes are bgp's, or lack something yet. */
  readonly awaited?: ReadonlySet<Prefix>;
}

export interface StateReport {
  readonly errors: readonly unknown[];
  /** Keys of routes that are not in the kernel as they must be. */
  readonly failedRoutes: ReadonlySet<string>;
}

export interface StateConfig extends OwnershipConfig {
  /** Routes are others' affair: they are neither looked at nor changed. */
  readonly routeSyncDisabled?: boolean;
}

/** felix's routes, neighbors and forwarding entries: applied together, resynced when one drifts. */
export class KernelState {
  readonly #links: KernelLinks;
  readonly #config: StateConfig;
  readonly #awaited: AwaitedRoutes;
  readonly #routes: ReturnType<typeof routeTable>;
  readonly #neighbors: ReturnType<typeof neighborTable>;
  readonly #fdb: ReturnType<typeof fdbTable>;

  constructor(
    { kernel, clock }: { readonly kernel: Kernel; readonly clock: Clock },
    links: KernelLinks,
    config: StateConfig,
  ) {
    this.#links = links;
    this.#config = config;
    this.#awaited = new AwaitedRoutes(clock);
    this.#routes = routeTable(kernel, links, config, this.#awaited);
    this.#neighbors = neighborTable(kernel, links, config);
    this.#fdb = fdbTable(kernel, links);
  }

  /** Routes that are wanted. */
  get routes(): Iterable<KernelRoute> {
    return this.#routes.desired.values();
  }

  /** When an apply has something to do that no event tells of; undefined: never. */
  get dueInMs(): number | undefined {
    return this.#awaited.remainingMs;
  }

  /** The next apply lists the kernel first. */
  resync(): void {
    this.#routes.resync();
    this.#neighbors.resync();
    this.#fdb.resync();
  }

  /** True when the event took the kernel away from what is wanted: our own changes are heard too. */
  drifts(event: KernelEvent): boolean {
    if (event.kind === "route") {
      if (this.#config.routeSyncDisabled) return false;
      const drifted = this.#routeDrifts(event.op, event.route) || this.#awaited.ends(event);
      if (drifted) this.#routes.resync();
      return drifted;
    }
    if (event.kind === "fdb") {
      const drifted = this.#fdbDrifts(event.op, event.entry);
      if (drifted) this.#fdb.resync();
      return drifted;
    }
    if (event.kind !== "neighbor") return false;
    const desired = this.#neighbors.desired.get(neighborKey(event.neighbor));
    const drifted =
      desired !== undefined && (event.op === "removed" || event.neighbor.mac !== desired.mac);
    if (drifted) this.#neighbors.resync();
    return drifted;
  }

  #fdbDrifts(op: "set" | "removed", entry: FdbEntry): boolean {
    const desired = this.#fdb.desired.get(fdbKey(entry));
    const same = desired?.destination === entry.destination;
    if (op === "removed") return same;
    return !same && isTunnelDevice(this.#links.nameOf(entry.ifindex));
  }

  #routeDrifts(op: "set" | "removed", route: KernelRoute): boolean {
    const desired = this.#routes.desired.get(routeKey(route));
    const same = desired !== undefined && sameRoute(desired, route);
    if (op === "removed") return same;
    return !same && (desired !== undefined || isOwnRoute(route, this.#links, this.#config));
  }

  /** Neighbors before the routes that lead to them. A table that fails does not stop the others. */
  async apply(desired: DesiredState): Promise<StateReport> {
    const { routes, neighbors, fdbEntries, awaited = new Set() } = desired;
    this.#awaited.destinations = awaited;
    const fdb = new Map(fdbEntries.map((entry) => [fdbKey(entry), entry]));
    const failedRoutes = new Set<string>();
    const errors: Error[] = [];
    const run = async (what: string, apply: () => Promise<ApplyReport<string>>) => {
      try {
        const { failed } = await apply();
        for (const [key, reason] of failed) {
          errors.push(new Error(`Cannot program ${what} ${key}: ${reason}`));
        }
        return failed;
      } catch (cause) {
        errors.push(new Error(`Cannot program ${what}s`, { cause }));
        return undefined;
      }
    };
    this.#fdb.replaceAll(fdb);
    await run("forwarding entry", () => this.#fdb.apply());
    this.#neighbors.replaceAll(new Map(neighbors.map((entry) => [neighborKey(entry), entry])));
    await run("neighbor", () => this.#neighbors.apply());
    if (this.#config.routeSyncDisabled) return { errors, failedRoutes };
    const wanted = new Map(routes.map((route) => [routeKey(route), route]));
    // What is awaited is to be looked at, not removed.
    const had = this.#routes.desired.values();
    if (this.#awaited.isOver || had.some(({ destination }) => awaited.has(destination)))
      this.#routes.resync();
    this.#routes.replaceAll(wanted);
    const failed = await run("route", () => this.#routes.apply());
    for (const key of failed?.keys() ?? wanted.keys()) failedRoutes.add(key);
    return { errors, failedRoutes };
  }
}
