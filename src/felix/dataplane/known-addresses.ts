import type { Kernel, KernelAddress } from "../../kernel/kernel.ts";

/** The node's addresses as last listed, until somebody says that they may be others. */
export class KnownAddresses {
  readonly #addresses: Pick<Kernel["addresses"], "list">;
  #known: readonly KernelAddress[] | undefined;
  #changes = 0;

  constructor(addresses: Pick<Kernel["addresses"], "list">) {
    this.#addresses = addresses;
  }

  get areKnown(): boolean {
    return this.#known !== undefined;
  }

  /** The next list is the kernel's. */
  forget(): void {
    this.#known = undefined;
    this.#changes++;
  }

  async list(): Promise<readonly KernelAddress[]> {
    if (this.#known !== undefined) return this.#known;
    const changes = this.#changes;
    const listed = await this.#addresses.list();
    if (changes === this.#changes) this.#known = listed;
    return listed;
  }
}
