import type { IncomingMessage } from "node:http";
import { TextBuffer } from "../../lib/text-buffer.ts";

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
  readonly #item = new TextBuffer();
  readonly #outside = new TextBuffer();

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
