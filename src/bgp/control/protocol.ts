import { InputError } from "../../lib/errors.ts";
import { type Prefix, parsePrefix } from "../../lib/prefix.ts";
import type { RibCursor } from "./rib-rows.ts";

/**
 * The control socket: a client writes a ControlRequest as one line of JSON and reads lines of JSON,
 * {"row": ...} for each part of the answer, then {"end": true} or {"error": "why not"}. After that it
 * may ask again. The end of a page has the `cursor` to ask for the next one with. A line that is not JSON is a question of `lab status` ("status", "rib PREFIX"): one
 * object comes back, and the connection ends.
 */
export type ControlRequest =
  /** One row: a SpeakerStatus. */
  | { readonly request: "status" }
  | { readonly request: "peers" }
  | { readonly request: "peer"; readonly name: string }
  /** The Loc-RIB, or what a peer told, or what it is told; of one prefix, or of all. */
  | {
      readonly request: "rib";
      readonly prefix?: Prefix;
      readonly in?: string;
      readonly out?: string;
      /** Rows of a page. Absent: all. */
      readonly limit?: number;
      /** As the end of the page before has it. */
      readonly cursor?: string;
    }
  | { readonly request: "why"; readonly prefix: Prefix }
  | { readonly request: "why-not"; readonly prefix: Prefix; readonly to: string }
  /** "in": the peer is asked for its routes; "out": it is sent ours. Absent: both. */
  | { readonly request: "refresh"; readonly name: string; readonly direction?: "in" | "out" }
  | { readonly request: "shutdown"; readonly name: string; readonly message: string }
  | { readonly request: "start"; readonly name: string }
  | { readonly request: "log"; readonly follow: boolean }
  /** Every route of every peer as MRT (RFC 6396), in rows of {"mrt": BASE64}. */
  | { readonly request: "dump" };

export type ControlLine =
  | { readonly row: unknown }
  | { readonly end: true; readonly cursor?: string }
  | { readonly error: string };

/** Longest line of a request, in characters. */
export const maxRequestLength = 4096;
/** Longest line of an answer: a peer with all its capabilities and counters is far below. */
export const maxAnswerLength = 1_048_576;
/** RFC 9003 section 2. */
export const maxShutdownBytes = 255;

/** @throws {InputError} that says what is wrong with the line. */
export function parseRequest(line: string): ControlRequest {
  const fields = objectOf(line);
  const text = (key: string): string => {
    const value = fields[key];
    if (typeof value === "string" && value !== "") return value;
    throw new InputError(`Cannot answer "${String(fields["request"])}" without ${key}`);
  };
  const optional = <Key extends string>(key: Key) =>
    (fields[key] === undefined ? {} : { [key]: text(key) }) as { readonly [K in Key]?: string };
  const request = String(fields["request"]);
  switch (request) {
    case "status":
    case "peers":
    case "dump":
      return { request };
    case "peer":
    case "start":
      return { request, name: text("name") };
    case "rib": {
      const prefix = fields["prefix"] === undefined ? {} : { prefix: prefixOf(text("prefix")) };
      const page = { ...limitOf(fields["limit"]), ...optional("cursor") };
      return { request, ...prefix, ...optional("in"), ...optional("out"), ...page };
    }
    case "why":
      return { request, prefix: prefixOf(text("prefix")) };
    case "why-not":
      return { request, prefix: prefixOf(text("prefix")), to: text("to") };
    case "refresh":
      return { request, name: text("name"), ...directionOf(optional("direction").direction) };
    case "shutdown":
      return { request, name: text("name"), message: messageOf(fields["message"]) };
    case "log":
      return { request, follow: fields["follow"] === true };
    default:
      throw new InputError(`Cannot answer "${request.slice(0, 40)}": there is no such request`);
  }
}

function objectOf(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new InputError("Cannot read the request: it must be a JSON object in one line");
}

function limitOf(limit: unknown): { readonly limit?: number } {
  if (limit === undefined) return {};
  if (Number.isSafeInteger(limit) && Number(limit) > 0) return { limit: Number(limit) };
  throw new InputError(`Cannot use limit "${String(limit)}": it must be a number over 0`);
}

/** @throws {InputError} */
export function parseCursor(text: string): RibCursor {
  const [, family, prefixId] = /^([46]):(\d{1,9})$/.exec(text) ?? [];
  if (family === undefined) {
    throw new InputError(`Cannot use cursor "${text}": it must be one that an answer has given`);
  }
  return { family: family === "4" ? 4 : 6, prefixId: Number(prefixId) };
}

export function cursorText({ family, prefixId }: RibCursor): string {
  return `${family}:${prefixId}`;
}

function prefixOf(text: string): Prefix {
  try {
    return parsePrefix(text);
  } catch (error) {
    throw new InputError((error as Error).message);
  }
}

function directionOf(direction: string | undefined): { readonly direction?: "in" | "out" } {
  if (direction === undefined) return {};
  if (direction === "in" || direction === "out") return { direction };
  throw new InputError(`Cannot refresh "${direction}": it must be in or out`);
}

function messageOf(message: unknown = ""): string {
  if (typeof message !== "string") throw new InputError("Cannot send a message that is no text");
  if (Buffer.byteLength(message) <= maxShutdownBytes) return message;
  throw new InputError(`Cannot send a message of more than ${maxShutdownBytes} octets (RFC 9003)`);
}
