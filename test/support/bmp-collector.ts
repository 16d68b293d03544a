import { createServer, type Server, type Socket } from "node:net";
import type { DecodeContext } from "../../src/bgp/wire/context.ts";
import { decodeMessage } from "../../src/bgp/wire/decode.ts";
import { FrameSplitter } from "../../src/bgp/wire/frame.ts";
import type { Message } from "../../src/bgp/wire/message.ts";
import { explainNotification } from "../../src/bgp/wire/notification.ts";
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { ipFromBytes } from "../../src/lib/ip-addr.ts";
import { unpack } from "./packed-prefixes.ts";
import { plainMessage } from "./plain-message.ts";

/** A BMP message as a collector reads it (RFC 7854): written from the RFC, apart from our encoder. */
export type BmpMessage =
  | { readonly type: "initiation"; readonly name: string; readonly description: string }
  | { readonly type: "termination"; readonly words: string; readonly reason: number }
  | {
      readonly type: "peerUp";
      readonly peer: string;
      readonly local: string;
      readonly ports: readonly [local: number, remote: number];
      readonly opens: readonly [sent: Message, received: Message];
    }
  | { readonly type: "peerDown"; readonly peer: string; readonly reason: string }
  | { readonly type: "statistics"; readonly peer: string; readonly counts: Record<string, number> }
  | { readonly type: "routes"; readonly peer: string; readonly message: Message };

const names = ["routes", "statistics", "peerDown", "peerUp", "initiation", "termination"] as const;

/** Reads what one speaker tells, and keeps the routes of each peer. */
export class BmpReader {
  readonly messages: BmpMessage[] = [];
  /** By peer: prefix, with "#ID" behind it where there is a path identifier, to next hop. */
  readonly routes: Map<string, Map<string, string>> = new Map();
  /** Peers whose End-of-RIB came, with the family. */
  readonly ended: string[] = [];
  readonly #contexts = new Map<string, DecodeContext>();
  #rest = new Uint8Array(0);

  push(bytes: Uint8Array): void {
    let all = Uint8Array.from([...this.#rest, ...bytes]);
    while (all.length >= 6) {
      const view = new DataView(all.buffer, all.byteOffset);
      if (view.getUint8(0) !== 3) throw new Error(`version ${view.getUint8(0)}`);
      const length = view.getUint32(1);
      if (all.length < length) break;
      this.#message(view.getUint8(5), new ByteReader(all.subarray(6, length)));
      all = all.slice(length);
    }
    this.#rest = all;
  }

  #message(code: number, body: ByteReader): void {
    const type = names[code];
    if (type === undefined) throw new Error(`type ${code}`);
    if (type === "initiation" || type === "termination") {
      this.messages.push(information(type, body));
      return;
    }
    const { peer, isOld } = perPeer(body);
    const message = this.#peerMessage(type, { peer, isOld, body });
    if (body.remaining > 0) throw new Error(`${body.remaining} octets behind ${type}`);
    this.messages.push(message);
  }

  #peerMessage(
    type: Exclude<(typeof names)[number], "initiation" | "termination">,
    { peer, isOld, body }: { peer: string; isOld: boolean; body: ByteReader },
  ): BmpMessage {
    switch (type) {
      case "peerUp":
        return this.#peerUp(peer, isOld, body);
      case "peerDown":
        this.routes.delete(peer);
        return { type, peer, reason: downReason(body) };
      case "statistics":
        return { type, peer, counts: statistics(body) };
      case "routes":
        return this.#monitoring(peer, body);
    }
  }

  #peerUp(peer: string, isOld: boolean, body: ByteReader): BmpMessage {
    const local = address(body.bytes(16), peer.includes(":"));
    const ports = [body.u16(), body.u16()] as const;
    const plain: DecodeContext = { fourOctetAs: !isOld, external: false, families: [4, 6] };
    const [sent, received] = decodeAll(body.bytes(body.remaining), plain);
    if (sent === undefined || received === undefined) throw new Error("Peer Up without OPENs");
    this.#contexts.set(peer, { ...plain, addPath: addPathOf(sent, received) });
    this.routes.set(peer, new Map());
    return { type: "peerUp", peer, local, ports, opens: [sent, received] };
  }

  #monitoring(peer: string, body: ByteReader): BmpMessage {
    const context = this.#contexts.get(peer);
    const routes = this.routes.get(peer);
    if (context === undefined || routes === undefined) throw new Error(`${peer} is not up`);
    const [message, more] = decodeAll(body.bytes(body.remaining), context);
    if (message?.kind !== "update" || more !== undefined) throw new Error("not one UPDATE");
    for (const prefixes of message.withdrawn) {
      for (const prefix of keys(prefixes)) routes.delete(prefix);
    }
    for (const { prefixes, nextHop } of message.announced) {
      for (const prefix of keys(prefixes)) routes.set(prefix, nextHop);
    }
    for (const family of message.endOfRib) this.ended.push(`${peer} ${family}`);
    return { type: "routes", peer, message };
  }
}

/** A collector on a port of 127.0.0.1: each connection has a reader of its own. */
export class BmpCollector {
  readonly readers: BmpReader[] = [];
  readonly sockets: Socket[] = [];
  readonly #server: Server;
  /** Reads nothing while it is set. */
  isDeaf = false;

  constructor() {
    this.#server = createServer((socket) => {
      const reader = new BmpReader();
      this.readers.push(reader);
      this.sockets.push(socket);
      socket.on("error", () => undefined);
      if (!this.isDeaf) socket.on("data", (bytes: Uint8Array) => reader.push(bytes));
    });
  }

  get last(): BmpReader | undefined {
    return this.readers.at(-1);
  }

  /** Gives its port. */
  listen(port = 0): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(port, "127.0.0.1", () => {
        const address = this.#server.address();
        resolve(typeof address === "object" && address !== null ? address.port : 0);
      });
    });
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function decodeAll(bytes: Uint8Array, context: DecodeContext): Message[] {
  const messages: Message[] = [];
  const splitter = new FrameSplitter();
  splitter.allowExtended();
  const problem = splitter.push(bytes, (frame) => {
    const decoded = decodeMessage(frame, context);
    if (!decoded.ok) throw new Error(decoded.reason);
    messages.push(plainMessage(decoded.message));
  });
  if (problem !== undefined) throw new Error(problem.reason);
  return messages;
}

/** Families in which the speaker receives path identifiers (RFC 7911 section 4). */
function addPathOf(sent: Message, received: Message): (4 | 6)[] {
  const modes = (open: Message, wanted: readonly string[]) =>
    open.kind !== "open"
      ? []
      : open.capabilities.flatMap((capability) =>
          capability.kind === "addPath"
            ? capability.families.filter(({ mode }) => wanted.includes(mode)).map(({ afi }) => afi)
            : [],
        );
  const offered = modes(received, ["send", "both"]);
  const taken = modes(sent, ["receive", "both"]);
  return taken.filter((afi) => offered.includes(afi)).map((afi) => (afi === 1 ? 4 : 6));
}

function keys(prefixes: Parameters<typeof unpack>[0]): string[] {
  return unpack(prefixes).map((prefix, index) => {
    const pathId = prefixes.pathIds?.[index];
    return pathId === undefined ? prefix : `${prefix}#${pathId}`;
  });
}

function perPeer(body: ByteReader): { readonly peer: string; readonly isOld: boolean } {
  const [type, flags] = [body.u8(), body.u8()];
  if (type !== 0) throw new Error(`peer type ${type}`);
  body.bytes(8);
  const peer = address(body.bytes(16), (flags & 0x80) !== 0);
  // AS, BGP ID, seconds, microseconds.
  body.bytes(16);
  return { peer, isOld: (flags & 0x20) !== 0 };
}

function address(octets: Uint8Array, isIpv6: boolean): string {
  return ipFromBytes(isIpv6 ? octets : octets.subarray(12));
}

function information(type: "initiation" | "termination", body: ByteReader): BmpMessage {
  const texts: string[] = [];
  let reason = -1;
  while (body.remaining > 0) {
    const [kind, length] = [body.u16(), body.u16()];
    const value = body.bytes(length);
    if (type === "termination" && kind === 1) reason = ((value[0] ?? 0) << 8) | (value[1] ?? 0);
    else texts[kind] = new TextDecoder().decode(value);
  }
  return type === "termination"
    ? { type, words: texts[0] ?? "", reason }
    : { type, name: texts[2] ?? "", description: texts[1] ?? "" };
}

function downReason(body: ByteReader): string {
  const code = body.u8();
  if (code === 4) return "remote closed";
  const [notification] = decodeAll(body.bytes(body.remaining), {
    fourOctetAs: true,
    external: false,
    families: [4, 6],
  });
  if (notification?.kind !== "notification") throw new Error("Peer Down without NOTIFICATION");
  return `${code === 1 ? "local" : "remote"}: ${explainNotification(notification)}`;
}

function statistics(body: ByteReader): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let left = body.u32(); left > 0; left--) {
    const [type, length] = [body.u16(), body.u16()];
    const value = new ByteReader(body.bytes(length));
    const family = type === 9 ? `/${value.u16()}/${value.u8()}` : "";
    let count = 0;
    while (value.remaining > 0) count = count * 256 + value.u8();
    counts[`${type}${family}`] = count;
  }
  return counts;
}
