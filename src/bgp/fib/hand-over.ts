import type { KernelEvent, KernelRoute } from "../../kernel/kernel.ts";
import { routeProtocol } from "../../kernel/ownership.ts";
import type { Prefix } from "../../lib/prefix.ts";

/** So long felix may take: it begins anew with another configuration, and may lack a tunnel's other end. */
export const handOverMs = 30_000;

/**
 * Routes that another programs from now on. Each of ours stays until the other's is in the kernel, at
 * most `handOverMs`: no packet is lost when a pool changes its owner.
 */
export class HandOver {
  readonly #waiting = new Map<Prefix, { readonly key: string; readonly untilMs: number }>();
  /** Keys of routes that may go, by destination. */
  readonly #over = new Map<Prefix, string>();
  #mustLook = false;

  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  begin(prefix: Prefix, key: string, nowMs: number): void {
    if (this.#waiting.get(prefix)?.key === key) return;
    this.#waiting.set(prefix, { key, untilMs: nowMs + handOverMs });
    this.#mustLook = true;
  }

  /** The route is ours again, or nobody's. Gives the key of the one that waited. */
  cancel(prefix: Prefix): string | undefined {
    const key = this.#waiting.get(prefix)?.key ?? this.#over.get(prefix);
    this.#waiting.delete(prefix);
    this.#over.delete(prefix);
    return key;
  }

  /** @returns whether something may go. */
  onKernelEvent(event: KernelEvent, table: number): boolean {
    if (event.kind === "lost") this.#mustLook = this.#waiting.size > 0;
    if (event.kind !== "route" || event.op !== "set" || event.route.table !== table) return false;
    return this.#take(event.route);
  }

  /** Looks at the kernel's routes, where what it waits for may be there already. */
  async look(list: () => Promise<readonly KernelRoute[]>): Promise<void> {
    if (!this.#mustLook) return;
    // Before the list, not after: what begins to wait while it runs wants another.
    this.#mustLook = false;
    try {
      for (const route of await list()) this.#take(route);
    } catch (error) {
      this.#mustLook = true;
      throw error;
    }
  }

  /** Keys of routes that need not stay any longer. Each is told once. */
  takeOver(nowMs: number): readonly string[] {
    for (const [prefix, { key, untilMs }] of this.#waiting) {
      if (nowMs < untilMs) continue;
      this.#over.set(prefix, key);
      this.#waiting.delete(prefix);
    }
    const keys = [...this.#over.values()];
    this.#over.clear();
    return keys;
  }

  #take({ destination, protocol }: KernelRoute): boolean {
    const waiting = this.#waiting.get(destination);
    if (waiting === undefined || protocol === routeProtocol.bird) return false;
    this.#waiting.delete(destination);
    this.#over.set(destination, waiting.key);
    return true;
  }
}
