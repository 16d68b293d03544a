import type { KernelEvent, KernelLink, Links } from "../../kernel/kernel.ts";
import type { Clock, Millis } from "../../lib/clock.ts";

/** Time in which an interface's endpoint may still be on its way to us (facts 4.16). */
const graceMs = 10_000;

/** The node's links as last listed, kept up to date by events. Nothing is decided before the list. */
export class KernelLinks {
  readonly #links: Links;
  readonly #byName = new Map<string, KernelLink>();
  readonly #names = new Map<number, string>();
  readonly #firstSeen = new Map<number, Millis>();
  readonly #clock: Clock;
  #listed = false;

  constructor(links: Links, clock: Clock) {
    this.#links = links;
    this.#clock = clock;
  }

  /** Lists again if it was never done or events were lost. */
  async refresh(): Promise<void> {
    if (this.#listed) return;
    const links = await this.#links.list();
    this.#byName.clear();
    this.#names.clear();
    for (const link of links) this.#set(link);
    for (const ifindex of this.#firstSeen.keys()) {
      if (!this.#names.has(ifindex)) this.#firstSeen.delete(ifindex);
    }
    this.#listed = true;
  }

  /** The next refresh lists. */
  resync(): void {
    this.#listed = false;
  }

  /** First heard of less than 10 s ago. */
  isNew(ifindex: number): boolean {
    const seen = this.#firstSeen.get(ifindex);
    return seen !== undefined && this.#clock.now() - seen < graceMs;
  }

  byName(name: string): KernelLink | undefined {
    return this.#byName.get(name);
  }

  withPrefix(prefix: string): KernelLink[] {
    return [...this.#byName.values()].filter(({ name }) => name.startsWith(prefix));
  }

  nameOf(ifindex: number | undefined): string | undefined {
    return ifindex === undefined ? undefined : this.#names.get(ifindex);
  }

  /** Asks the kernel for one link: an event may be still on its way. */
  async look(name: string): Promise<KernelLink | undefined> {
    const link = await this.#links.get(name);
    if (link !== undefined) this.#set(link);
    return link;
  }

  take(event: KernelEvent): void {
    if (event.kind === "lost") this.resync();
    if (event.kind !== "link") return;
    if (event.op === "set") this.#set(event.link);
    else this.#remove(event.link);
  }

  #set(link: KernelLink): void {
    const renamed = this.#names.get(link.ifindex);
    if (renamed !== undefined && renamed !== link.name) this.#byName.delete(renamed);
    this.#byName.set(link.name, link);
    this.#names.set(link.ifindex, link.name);
    if (!this.#firstSeen.has(link.ifindex)) this.#firstSeen.set(link.ifindex, this.#clock.now());
  }

  /** A later link may have taken the name: only the one with this index goes. */
  #remove({ ifindex, name }: KernelLink): void {
    this.#names.delete(ifindex);
    this.#firstSeen.delete(ifindex);
    if (this.#byName.get(name)?.ifindex === ifindex) this.#byName.delete(name);
  }
}
