import { HandOver } from "../../kernel/hand-over.ts";
import { routeKey, sameRoute } from "../../kernel/ip/route-identity.ts";
import type { Kernel, KernelEvent, KernelRoute } from "../../kernel/kernel.ts";
import { ipipDevice, mainTable, routeProtocol } from "../../kernel/ownership.ts";
import { SyncedTable, type TableDriver } from "../../kernel/synced-table.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { PacedRunner } from "../../lib/paced-runner.ts";
import type { Prefix } from "../../lib/prefix.ts";

const pace = { minIntervalMs: 20, retryIntervalMs: 1000 };
const defaultRefreshMs = 90_000;

export interface FibDeps {
  readonly kernel: Pick<Kernel, "routes" | "links">;
  readonly clock: Clock;
  readonly log: Logger;
  /** True for a route of an earlier run that must stay for now, although the RIB lacks it. */
  readonly mayKeep: (route: KernelRoute) => boolean;
  /** True when felix is to program the route's destination from now on. */
  readonly isHandedOver: (route: KernelRoute) => boolean;
  /** Kernel table that is kept. Default: main. */
  readonly table?: number;
  /** The kernel's routes are listed and compared again after this long. Default: 90 s. */
  readonly refreshMs?: number;
}

/**
 * Keeps the kernel's routes of protocol 12 as the RIB wants them. Routes that an earlier run left are
 * taken over: until the RIB has converged none is removed that it may still want, so a restart loses
 * no packet. What felix is to program from now on stays until felix has done so. What somebody else
 * changes is repaired at the kernel's event.
 */
export class FibSync {
  readonly #deps: FibDeps;
  readonly #tableId: number;
  readonly #driver: TableDriver<string, KernelRoute>;
  readonly #table: SyncedTable<string, KernelRoute>;
  readonly #handOver: HandOver;
  readonly #runner: PacedRunner;
  /** Key of the route to each destination: its metric may change. */
  readonly #keys = new Map<Prefix, string>();
  /** Routes of an earlier run that the RIB has not decided on, by key. */
  readonly #adopted = new Map<string, KernelRoute>();
  readonly #refreshMs: number;
  #listedMs = Number.NEGATIVE_INFINITY;
  #isStarted = false;

  constructor(deps: FibDeps) {
    this.#deps = deps;
    this.#tableId = deps.table ?? mainTable;
    this.#driver = driverOf(deps.kernel, this.#tableId);
    this.#table = new SyncedTable({ ...this.#driver, list: () => this.#list() });
    const isOwn = ({ protocol }: KernelRoute) => protocol === routeProtocol.bird;
    this.#handOver = new HandOver(deps.clock, isOwn);
    this.#refreshMs = deps.refreshMs ?? defaultRefreshMs;
    this.#runner = new PacedRunner({ ...pace, maxIntervalMs: this.#refreshMs }, deps.clock);
  }

  /** Number of routes that are wanted. */
  get size(): number {
    return this.#table.desired.size;
  }

  /** Takes over what an earlier run has left. Gives the number of routes. Nothing is written yet. */
  async adopt(): Promise<number> {
    const left = await this.#driver.list();
    for (const [key, route] of left) {
      this.#adopted.set(key, route);
      this.#table.set(key, route);
    }
    return left.size;
  }

  /** States the routes to some destinations; undefined: none. The first call allows writing. */
  setRoutes(routes: ReadonlyMap<Prefix, KernelRoute | undefined>): void {
    for (const [prefix, route] of routes) this.#setRoute(prefix, route);
    this.#releaseAdopted();
    this.#isStarted = true;
    this.#runner.request();
  }

  /** The RIB has converged: of the routes of an earlier run nothing more is kept. */
  converged(): void {
    this.#releaseAdopted();
    this.#isStarted = true;
    this.#runner.request();
  }

  /** Repairs what others have done to our routes. */
  onKernelEvents(events: readonly KernelEvent[]): void {
    if (!events.some((event) => this.#concerns(event))) return;
    this.#table.resync();
    this.#runner.request();
  }

  /** Writes to the kernel until `signal` aborts, and then leaves it as it is. */
  run(signal: AbortSignal): Promise<void> {
    const { log } = this.#deps;
    return this.#runner.start(
      () => this.#apply(),
      (error) => log.warn({ reason: errorMessage(error) }, "Routes not all programmed"),
      signal,
    );
  }

  #setRoute(prefix: Prefix, route: KernelRoute | undefined): void {
    const before = this.#keys.get(prefix);
    const after = route === undefined ? undefined : routeKey(route);
    if (before !== undefined && before !== after) this.#drop(before);
    if (route === undefined || after === undefined) {
      this.#keys.delete(prefix);
      return;
    }
    this.#adopted.delete(after);
    this.#keys.set(prefix, after);
    this.#table.set(after, route);
  }

  #releaseAdopted(): void {
    for (const [key, route] of this.#adopted) {
      if (this.#deps.mayKeep(route)) continue;
      this.#adopted.delete(key);
      this.#drop(key);
    }
  }

  #drop(key: string): void {
    const route = this.#table.desired.get(key);
    this.#table.delete(key);
    // Whether it may go the list will tell.
    if (route !== undefined && this.#deps.isHandedOver(route)) this.#table.resync();
  }

  /** Our routes, but for those that are to go and must stay for now. */
  async #list(): Promise<ReadonlyMap<string, KernelRoute>> {
    const { kernel, isHandedOver } = this.#deps;
    const own = new Map(await this.#driver.list());
    const leaving = [...own]
      .filter(([key, route]) => !this.#table.desired.has(key) && isHandedOver(route))
      .map(([, route]) => route);
    const all = leaving.length === 0 ? [] : await kernel.routes.list({ table: this.#tableId });
    for (const key of this.#handOver.staying(leaving, all)) own.delete(key);
    return own;
  }

  async #apply(): Promise<void> {
    if (!this.#isStarted) return;
    const now = this.#deps.clock.now();
    if (now - this.#listedMs >= this.#refreshMs) {
      this.#table.resync();
      this.#listedMs = now;
      this.#deps.log.debug({ routes: this.#table.desired.size }, "Routes compared with the kernel");
    }
    const { set, removed, failed } = await this.#table.apply();
    if (set + removed > 0) {
      this.#deps.log.debug({ set, removed, failed: failed.size }, "Routes programmed");
    }
    const [first] = failed;
    if (first !== undefined) {
      throw new Error(`Cannot program ${failed.size} routes: ${first[0]}: ${first[1]}`);
    }
  }

  #concerns(event: KernelEvent): boolean {
    if (event.kind === "lost") return true;
    // The kernel drops the routes of a link that goes down without a word.
    if (event.kind === "link") return this.#uses(event.link.ifindex);
    if (event.kind !== "route" || event.route.table !== this.#tableId) return false;
    const { op, route } = event;
    const wanted = this.#table.desired.get(routeKey(route));
    if (wanted !== undefined) return op === "removed" || !sameRoute(wanted, route);
    return (
      op === "set" && (route.protocol === routeProtocol.bird || this.#handOver.isAwaited(route))
    );
  }

  #uses(ifindex: number): boolean {
    for (const route of this.#table.desired.values()) {
      const hops = route.nextHops ?? [route];
      if (hops.some((hop) => hop.ifindex === ifindex)) return true;
    }
    return false;
  }
}

function driverOf(
  { routes, links }: FibDeps["kernel"],
  table: number,
): TableDriver<string, KernelRoute> {
  return {
    list: async () => {
      // On the IPIP device protocol 12 is felix' (facts 4.8).
      const ipip = (await links.get(ipipDevice))?.ifindex;
      const listed = await routes.list({ table, protocol: routeProtocol.bird });
      const ours = listed.filter(({ ifindex }) => ipip === undefined || ifindex !== ipip);
      return new Map(ours.map((route) => [routeKey(route), route]));
    },
    set: async (entries) => failuresOf(await routes.replace([...entries.values()])),
    remove: async (entries) => failuresOf(await routes.remove([...entries.values()])),
    equal: sameRoute,
  };
}

function failuresOf(
  failures: readonly { readonly entry: KernelRoute; readonly message: string }[],
): ReadonlyMap<string, string> {
  return new Map(failures.map(({ entry, message }) => [routeKey(entry), message]));
}
