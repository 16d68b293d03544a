/**
 * What the exec helper and its owner say to each other: frames of a 4-octet big-endian length and
 * that many octets of JSON, requests one way and answers the other.
 */

/** All that the helper will run: nothing else, by no other name. */
export const helperPrograms = [
  "iptables",
  "iptables-save",
  "iptables-restore",
  "iptables-nft-save",
  "iptables-nft-restore",
  "iptables-legacy-save",
  "iptables-legacy-restore",
  "ip6tables",
  "ip6tables-save",
  "ip6tables-restore",
  "ip6tables-nft-save",
  "ip6tables-nft-restore",
  "ip6tables-legacy-save",
  "ip6tables-legacy-restore",
  "ipset",
  "conntrack",
] as const;

export type HelperProgram = (typeof helperPrograms)[number];

export interface HelperRequest {
  readonly id: number;
  readonly program: HelperProgram;
  readonly args: readonly string[];
  readonly stdin?: string;
  readonly timeoutMs: number;
}

export interface ExecResult {
  /** Exit code; 128 and the signal's number when a signal ended it, as a shell says it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export type ExecFailureCode =
  | "not-found"
  | "timeout"
  | "too-much-output"
  | "not-allowed"
  | "not-started";

export type HelperAnswer =
  | { readonly id: number; readonly result: ExecResult }
  | {
      readonly id: number;
      readonly failure: { readonly code: ExecFailureCode; readonly message: string };
    };

/** Of each: what a program writes to one stream, and what it is given to read. */
export const maxStreamBytes: number = 64 * 1024 * 1024;

/** Two streams, each octet of which may be "\u0000" in JSON. */
const maxFrameBytes = 2 * 6 * maxStreamBytes;

const headerBytes = 4;

export function encodeFrame(message: HelperRequest | HelperAnswer): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}

/** Puts frames together from the pieces in which a pipe delivers them. */
export class FrameReader<Message> {
  #pieces: Buffer[] = [];
  #size = 0;

  /**
   * The messages that `piece` completes.
   *
   * @throws {RangeError} when a frame is longer than any message of ours: the stream is spoilt.
   */
  push(piece: Buffer): Message[] {
    this.#pieces.push(piece);
    this.#size += piece.length;
    const messages: Message[] = [];
    for (let frame = this.#take(); frame !== undefined; frame = this.#take()) {
      messages.push(JSON.parse(frame.toString("utf8")) as Message);
    }
    return messages;
  }

  #take(): Buffer | undefined {
    if (this.#size < headerBytes) return undefined;
    const header = this.#joined(headerBytes);
    const length = header.readUInt32BE(0);
    if (length > maxFrameBytes) throw new RangeError(`Cannot read a frame of ${length} octets`);
    if (this.#size < headerBytes + length) return undefined;
    const all = this.#joined(this.#size);
    const rest = all.subarray(headerBytes + length);
    this.#pieces = rest.length === 0 ? [] : [rest];
    this.#size = rest.length;
    return all.subarray(headerBytes, headerBytes + length);
  }

  /** The first `size` octets or more in one piece; the rest is not copied again and again. */
  #joined(size: number): Buffer {
    const [first = Buffer.alloc(0)] = this.#pieces;
    if (first.length >= size) return first;
    const all = Buffer.concat(this.#pieces);
    this.#pieces = [all];
    return all;
  }
}
