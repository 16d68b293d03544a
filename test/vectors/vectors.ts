import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DecodeContext } from "../../src/bgp/wire/context.ts";
import type { Message } from "../../src/bgp/wire/message.ts";
import { fromHex, withHeader } from "../support/hex.ts";
import { messageFromJson } from "../support/message-json.ts";

/**
 * The vectors of this folder: `*.json`, each a list of bodies in hexadecimal and what they mean. A
 * vector with a message is checked both ways, one that is "decodeOnly" is not how we would write it.
 */
export interface Vector {
  readonly name: string;
  readonly file: string;
  readonly type: number;
  /** The whole message. */
  readonly bytes: Uint8Array;
  readonly context: DecodeContext;
  readonly decodeOnly: boolean;
  /** The header is right, so that a body is looked at. */
  readonly isFramed: boolean;
  /** A NOTIFICATION as operators read it. */
  readonly words?: string;
  readonly expected: { readonly message: Message } | { readonly error: VectorError };
}

/** The NOTIFICATION that answers it. */
export interface VectorError {
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

interface VectorJson {
  readonly name: string;
  readonly type?: number;
  readonly body?: string;
  /** In place of type and body: a header in which something is wrong. */
  readonly header?: string;
  readonly words?: string;
  readonly context?: Partial<DecodeContext>;
  readonly decodeOnly?: true;
  readonly message?: Message;
  readonly error?: VectorError;
}

const folder = import.meta.dirname;

export const vectors: readonly Vector[] = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .sort()
  .flatMap((file) => readVectors(file));

function readVectors(file: string): Vector[] {
  const text = readFileSync(join(folder, file), "utf8");
  return (messageFromJson(text) as VectorJson[]).map((vector) => {
    const { name, header, words, message, error } = vector;
    const bytes =
      header === undefined ? withHeader(vector.type ?? 0, vector.body ?? "") : fromHex(header);
    const plain = { fourOctetAs: true, external: false, families: [4, 6] } as const;
    if ((message === undefined) === (error === undefined)) {
      throw new Error(`Cannot read vector "${name}" of ${file}: it needs a message or an error`);
    }
    return {
      name,
      file,
      type: bytes[18] ?? 0,
      bytes,
      isFramed: header === undefined,
      ...(words !== undefined && { words }),
      context: { ...plain, ...vector.context },
      decodeOnly: vector.decodeOnly === true,
      expected: message === undefined ? { error: error as VectorError } : { message },
    };
  });
}
