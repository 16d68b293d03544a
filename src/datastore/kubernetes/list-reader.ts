import type { IncomingMessage } from "node:http";

/** What a list's answer is without its items. */
export interface ListMetadata {
  readonly resourceVersion: string;
  readonly continue?: string;
}

const quote = 0x22;
const backslash = 0x5c;
const openers: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const closers: ReadonlySet<number> = new Set([0x5d, 0x7d]);
/** Inside the list's object and its array: an item is what opens and closes here. */
const itemDepth = 2;

/**
 * Gives each item's JSON of a list as it comes, and reads the list's metadata. An answer of 100 pods is 1 MB of
 * text and 5 MB of objects, which live just long enough to be kept as old; a single pod's die young.
 *
 * @throws {SyntaxError} for what is no whole list.
 */
export async function readList(
  body: IncomingMessage,
  onItem: (json: string) => void,
): Promise<ListMetadata> {
  const splitter = new ItemSplitter(onItem);
  for await (const chunk of body) splitter.push(chunk as Buffer);
  const { metadata } = JSON.parse(splitter.rest()) as { readonly metadata?: ListMetadata };
  if (metadata?.resourceVersion === undefined) {
    throw new SyntaxError("a list without metadata.resourceVersion");
  }
  return metadata;
}

/** Finds the items by their braces alone: nothing of a string counts. */
class ItemSplitter {
  readonly #onItem: (json: string) => void;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #inArray = false;
  /** The item that has begun, of earlier chunks. */
  readonly #item = new Scratch();
  readonly #outside = new Scratch();

  constructor(onItem: (json: string) => void) {
    this.#onItem = onItem;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === backslash) this.#escaped = true;
        else if (byte === quote) this.#inString = false;
      } else if (byte === quote) this.#inString = true;
      else if (openers.has(byte)) {
        if (this.#depth === 1) this.#inArray = byte === 0x5b;
        if (this.#isItemEdge()) {
          this.#outside.append(chunk, start, at);
          start = at;
        }
        this.#depth++;
      } else if (closers.has(byte)) {
        this.#depth--;
        if (!this.#isItemEdge()) continue;
        this.#item.append(chunk, start, at + 1);
        this.#onItem(this.#item.take());
        start = at + 1;
      }
    }
    const within = this.#inArray && this.#depth > itemDepth;
    (within ? this.#item : this.#outside).append(chunk, start, chunk.length);
  }

  /** What is outside the items, where only commas are left of them. */
  rest(): string {
    return this.#outside.take().replace(/\[[\s,]*\]/, "[]");
  }

  #isItemEdge(): boolean {
    return this.#inArray && this.#depth === itemDepth;
  }
}

/** Bytes on their way to a text: one buffer for all items, as one each is 20 MB of holes among 10,000. */
class Scratch {
  #bytes = Buffer.allocUnsafeSlow(16_384);
  #length = 0;

  append(from: Buffer, start: number, end: number): void {
    const needed = this.#length + end - start;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(2 * needed);
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    from.copy(this.#bytes, this.#length, start, end);
    this.#length = needed;
  }

  take(): string {
    const text = this.#bytes.toString("utf8", 0, this.#length);
    this.#length = 0;
    return text;
  }
}
