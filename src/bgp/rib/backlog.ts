import type { Block } from "./block.ts";

/** The blocks of a group in their order, by number, as long as a peer needs them. */
export class Backlog {
  readonly #blocks: Block[] = [];
  #first = 0;
  #bytes = 0;

  /** Number of the oldest block that is kept. */
  get first(): number {
    return this.#first;
  }

  /** Number that the next block gets. */
  get end(): number {
    return this.#first + this.#blocks.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(block: Block): void {
    this.#blocks.push(block);
    this.#bytes += block.bytes.length;
  }

  at(number: number): Block | undefined {
    return this.#blocks[number - this.#first];
  }

  /** Octets of the blocks from `number` on. */
  bytesSince(number: number): number {
    let bytes = 0;
    for (let at = number; at < this.end; at++) bytes += this.at(at)?.bytes.length ?? 0;
    return bytes;
  }

  /** Lets go of all blocks before `number`. */
  trim(number: number): void {
    const gone = this.#blocks.splice(0, number - this.#first);
    for (const { bytes } of gone) this.#bytes -= bytes.length;
    this.#first += gone.length;
  }
}
