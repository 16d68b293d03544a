import { routeKey, sameRoute } from "../../kernel/ip/route-identity.ts";
import type { Kernel, KernelEvent, KernelRoute } from "../../kernel/kernel.ts";
import { ipipDevice, mainTable, routeProtocol } from "../../kernel/ownership.ts";
import { SyncedTable, type TableDriver } from "../../kernel/synced-table.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { PacedRunner } from "../../lib/paced-runner.ts";
import type { Prefix } from "../../lib/prefix.ts";
import { HandOver, handOverMs } from "./hand-over.ts";

const pace = { minIntervalMs: 20, retryIntervalMs: 1000 };
const defaultRefreshMs = 90_000;

export interface FibDeps {
  readonly kernel: Pick<Kernel, "routes" | "links">;
  readonly clock: Clock;
  readonly log: Logger;
  /** True for a route of an earlier run that must stay for now, although the RIB lacks it. */
  readonly mayKeep: (route: KernelRoute) => boolean;
  /** True for one in whose place felix puts another: it stays until that is there. */
  readonly isHandedOver: (route: KernelRoute) => boolean;
  /** True while protocol 12 on the IPIP device is ours; else it is felix' (facts 4.8). */
  readonly ownsTunnel: () => boolean;
  /** Kernel table that is kept. Default: main. */
  readonly table?: number;
  /** The kernel's routes are listed and compared again after this long. Default: 90 s. */
  readonly refreshMs?: number;
}

/** A route, none of ours, or one that felix is to have in its place. */
export type FibEntry = KernelRoute | "handedOver" | undefined;

/**
 * Keeps the kernel's routes of protocol 12 as the RIB wants them. Routes that an earlier run left are
 * taken over: until the RIB has converged none is removed that it may still want, so a restart loses
 * no packet. What somebody else changes is repaired at the kernel's event.
 */
export class FibSync {
  readonly #deps: FibDeps;
  readonly #tableId: number;
  readonly #driver: TableDriver<string, KernelRoute>;
  readonly #table: SyncedTable<string, KernelRoute>;
  readonly #runner: PacedRunner;
  /** Key of the route to each destination: its metric may change. */
  readonly #keys = new Map<Prefix, string>();
  /** Routes of an earlier run that the RIB has not decided on, by key. */
  readonly #adopted = new Map<string, KernelRoute>();
  readonly #handOver = new HandOver();
  readonly #refreshMs: number;
  /** Cancels the timer of the hand-over. */
  #cancelTimer: (() => void) | undefined;
  #isStopped = false;
  #ownsTunnel = false;
  #tunnelIfindex: number | undefined;
  #listedMs = Number.NEGATIVE_INFINITY;
  #isStarted = false;

  constructor(deps: FibDeps) {
    this.#deps = deps;
    this.#tableId = deps.table ?? mainTable;
    this.#driver = {
      ...driverOf(deps.kernel),
      list: () => this.#list({ withTunnel: deps.ownsTunnel() }),
    };
    this.#table = new SyncedTable(this.#driver);
    this.#refreshMs = deps.refreshMs ?? defaultRefreshMs;
    this.#runner = new PacedRunner({ ...pace, maxIntervalMs: this.#refreshMs }, deps.clock);
  }

  /** Number of routes that are wanted. */
  get size(): number {
    return this.#table.desired.size;
  }

  /** Takes over what an earlier run has left. Gives the number of routes. Nothing is written yet. */
  async adopt(): Promise<number> {
    // Whose those on the tunnel are is not known yet.
    const left = await this.#list({ withTunnel: true });
    for (const [key, route] of left) {
      this.#adopted.set(key, route);
      this.#table.set(key, route);
    }
    return left.size;
  }

  /** States the routes to some destinations. The first call allows writing. */
  setRoutes(routes: ReadonlyMap<Prefix, FibEntry>): void {
    for (const [prefix, route] of routes) this.#setRoute(prefix, route);
    this.#releaseAdopted();
    const ownsTunnel = this.#deps.ownsTunnel();
    // What was not ours to list is ours now.
    if (ownsTunnel && !this.#ownsTunnel) this.#table.resync();
    this.#ownsTunnel = ownsTunnel;
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
    const drifted = events.filter((event) => this.#concerns(event)).length > 0;
    const isServed = events.filter((event) => this.#handOver.onKernelEvent(event, this.#tableId));
    if (drifted) this.#table.resync();
    if (drifted || isServed.length > 0) this.#runner.request();
  }

  /** Writes to the kernel until `signal` aborts, and then leaves it as it is. */
  async run(signal: AbortSignal): Promise<void> {
    const { log } = this.#deps;
    await this.#runner.start(
      () => this.apply(),
      (error) => log.warn({ reason: errorMessage(error) }, "Routes not all programmed"),
      signal,
    );
    // Nothing keeps the process from its end.
    this.#isStopped = true;
    this.#cancelTimer?.();
  }

  #setRoute(prefix: Prefix, route: FibEntry): void {
    const own = this.#keys.get(prefix);
    if (route === "handedOver") {
      if (own !== undefined) this.#beginHandOver(prefix, own);
      return;
    }
    const before = own ?? this.#handOver.cancel(prefix);
    const after = route === undefined ? undefined : routeKey(route);
    if (before !== undefined && before !== after) this.#table.delete(before);
    if (route === undefined || after === undefined) {
      this.#keys.delete(prefix);
      return;
    }
    this.#adopted.delete(after);
    this.#keys.set(prefix, after);
    this.#table.set(after, route);
  }

  #beginHandOver(prefix: Prefix, key: string): void {
    this.#keys.delete(prefix);
    this.#handOver.begin(prefix, key, this.#deps.clock.now());
    this.#timeHandOver();
  }

  #timeHandOver(): void {
    if (this.#cancelTimer !== undefined || this.#isStopped || !this.#handOver.isWaiting) return;
    this.#cancelTimer = this.#deps.clock.setTimer(handOverMs, () => {
      this.#cancelTimer = undefined;
      this.#runner.request();
    });
  }

  #releaseAdopted(): void {
    for (const [key, route] of this.#adopted) {
      const isOurs = this.#deps.ownsTunnel() || !this.#isOnTunnel(route);
      if (isOurs && this.#deps.mayKeep(route)) continue;
      this.#adopted.delete(key);
      if (isOurs && this.#deps.isHandedOver(route)) this.#beginHandOver(route.destination, key);
      else this.#table.delete(key);
    }
  }

  /** Makes the kernel what is known to be wanted now. */
  async apply(): Promise<void> {
    if (!this.#isStarted) return;
    const now = this.#deps.clock.now();
    if (now - this.#listedMs >= this.#refreshMs) {
      this.#table.resync();
      this.#listedMs = now;
      this.#deps.log.debug({ routes: this.#table.desired.size }, "Routes compared with the kernel");
    }
    await this.#endHandOver(now);
    const { set, removed, failed } = await this.#table.apply();
    if (set + removed > 0) {
      this.#deps.log.debug({ set, removed, failed: failed.size }, "Routes programmed");
    }
    const [first] = failed;
    if (first !== undefined) {
      throw new Error(`Cannot program ${failed.size} routes: ${first[0]}: ${first[1]}`);
    }
  }

  async #endHandOver(nowMs: number): Promise<void> {
    const { routes } = this.#deps.kernel;
    await this.#handOver.look(() => routes.list({ table: this.#tableId }));
    for (const key of this.#handOver.takeOver(nowMs)) this.#table.delete(key);
    this.#timeHandOver();
  }

  async #list({ withTunnel }: { readonly withTunnel: boolean }) {
    const { routes, links } = this.#deps.kernel;
    this.#tunnelIfindex = (await links.get(ipipDevice))?.ifindex;
    const listed = await routes.list({ table: this.#tableId, protocol: routeProtocol.bird });
    const ours = listed.filter((route) => withTunnel || !this.#isOnTunnel(route));
    return new Map(ours.map((route) => [routeKey(route), route]));
  }

  #isOnTunnel({ ifindex, nextHops = [] }: KernelRoute): boolean {
    const tunnel = this.#tunnelIfindex;
    return (
      tunnel !== undefined && (ifindex === tunnel || nextHops.some((hop) => hop.ifindex === tunnel))
    );
  }

  #concerns(event: KernelEvent): boolean {
    if (event.kind === "lost") return true;
    // The kernel drops the routes of a link that goes down without a word.
    if (event.kind === "link") return this.#uses(event.link.ifindex);
    if (event.kind !== "route" || event.route.table !== this.#tableId) return false;
    const wanted = this.#table.desired.get(routeKey(event.route));
    if (wanted === undefined) {
      return event.op === "set" && event.route.protocol === routeProtocol.bird;
    }
    return event.op === "removed" || !sameRoute(wanted, event.route);
  }

  #uses(ifindex: number): boolean {
    for (const route of this.#table.desired.values()) {
      const hops = route.nextHops ?? [route];
      if (hops.some((hop) => hop.ifindex === ifindex)) return true;
    }
    return false;
  }
}

function driverOf({ routes }: FibDeps["kernel"]): Omit<TableDriver<string, KernelRoute>, "list"> {
  return {
    set: async (entries) => failuresOf(await routes.replace([...entries.values()])),
    remove: async (entries) => failuresOf(await routes.remove([...entries.values()])),
    equal: sameRoute,
    setsFirst: true,
  };
}

function failuresOf(
  failures: readonly { readonly entry: KernelRoute; readonly message: string }[],
): ReadonlyMap<string, string> {
  return new Map(failures.map(({ entry, message }) => [routeKey(entry), message]));
}
