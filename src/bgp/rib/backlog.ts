import type { Block } from "./block.ts";

/** The blocks of a group in their order, by number, as long as a peer needs them. */
export class Backlog {
  readonly #blocks: Block[] = [];
  #first = 0;
  #bytes = 0;
  #pushedBytes = 0;

  /** Number of the oldest block that is kept. */
  get first(): number {
    return this.#first;
  }

  /** Number that the next block gets. */
  get end(): number {
    return this.#first + this.#blocks.length;
  }

  /** Octets of the blocks that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Octets of all blocks that ever were in it. */
  get pushedBytes(): number {
    return this.#pushedBytes;
  }

  push(block: Block): void {
    this.#blocks.push(block);
    this.#bytes += block.bytes.length;
    this.#pushedBytes += block.bytes.length;
  }

  at(number: number): Block | undefined {
    return this.#blocks[number - this.#first];
  }

  /** Lets go of all blocks before `number`. */
  trim(number: number): void {
    const gone = this.#blocks.splice(0, number - this.#first);
    for (const { bytes } of gone) this.#bytes -= bytes.length;
    this.#first += gone.length;
  }
}
