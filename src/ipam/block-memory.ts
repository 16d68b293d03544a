import type { IpFamily } from "../lib/ip-addr.ts";
import type { Prefix } from "../lib/prefix.ts";
import type { StoredBlock } from "./ipam-records.ts";

/**
 * The block that each node was last given addresses from, as this process wrote it last. The next
 * assignment tries it without reading it: whoever changed it since makes its compare-and-swap fail,
 * and it is read then.
 */
export class BlockMemory {
  readonly #current = new Map<string, { readonly cidr: Prefix; readonly again: boolean }>();
  readonly #blocks = new Map<Prefix, StoredBlock>();

  current(node: string, family: IpFamily): StoredBlock | undefined {
    const current = this.#current.get(`${family} ${node}`);
    return current === undefined ? undefined : this.#blocks.get(current.cidr);
  }

  /** The same, where the last address came from the same block as the one before it. */
  expected(node: string, family: IpFamily): StoredBlock | undefined {
    const again = this.#current.get(`${family} ${node}`)?.again === true;
    return again ? this.current(node, family) : undefined;
  }

  use(node: string, family: IpFamily, block: StoredBlock): void {
    const key = `${family} ${node}`;
    const before = this.#current.get(key)?.cidr;
    if (before !== undefined && before !== block.cidr) this.#blocks.delete(before);
    this.#current.set(key, { cidr: block.cidr, again: before === block.cidr });
    this.#blocks.set(block.cidr, block);
  }

  /** A block was written: remembered anew if it was. */
  wrote(block: StoredBlock): void {
    if (this.#blocks.has(block.cidr)) this.#blocks.set(block.cidr, block);
  }

  forget(cidr: Prefix): void {
    this.#blocks.delete(cidr);
  }
}
