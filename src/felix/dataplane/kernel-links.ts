import type { KernelEvent, KernelLink, Links } from "../../kernel/kernel.ts";

/** The node's links as last listed, kept up to date by events. Nothing is decided before the list. */
export class KernelLinks {
  readonly #links: Links;
  readonly #byName = new Map<string, KernelLink>();
  readonly #names = new Map<number, string>();
  #listed = false;

  constructor(links: Links) {
    this.#links = links;
  }

  /** Lists again if it was never done or events were lost. */
  async refresh(): Promise<void> {
    if (this.#listed) return;
    const links = await this.#links.list();
    this.#byName.clear();
    this.#names.clear();
    for (const link of links) this.#set(link);
    this.#listed = true;
  }

  byName(name: string): KernelLink | undefined {
    return this.#byName.get(name);
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
    if (event.kind === "lost") this.#listed = false;
    if (event.kind !== "link") return;
    if (event.op === "set") this.#set(event.link);
    else this.#remove(event.link);
  }

  #set(link: KernelLink): void {
    const renamed = this.#names.get(link.ifindex);
    if (renamed !== undefined && renamed !== link.name) this.#byName.delete(renamed);
    this.#byName.set(link.name, link);
    this.#names.set(link.ifindex, link.name);
  }

  /** A later link may have taken the name: only the one with this index goes. */
  #remove({ ifindex, name }: KernelLink): void {
    this.#names.delete(ifindex);
    if (this.#byName.get(name)?.ifindex === ifindex) this.#byName.delete(name);
  }
}
