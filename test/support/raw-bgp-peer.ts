import { connect, type Socket } from "node:net";
import type { DecodeContext } from "../../src/bgp/wire/context.ts";
import { decodeMessage } from "../../src/bgp/wire/decode.ts";
import { FrameSplitter } from "../../src/bgp/wire/frame.ts";
import type {
  Message,
  NotificationMessage,
  OpenMessage,
  PathAttributes,
  UpdateMessage,
} from "../../src/bgp/wire/message.ts";
import { encodeOpen } from "../../src/bgp/wire/open.ts";
import { encodeKeepalive } from "../../src/bgp/wire/route-refresh.ts";
import type { Asn } from "../../src/lib/asn.ts";
import { unpack } from "./packed-prefixes.ts";
import { waitFor } from "./wait-for.ts";

export interface RawPeerConfig {
  readonly from: string;
  readonly to: string;
  readonly asn: number;
  readonly speakerAsn: number;
  /** Default: `from` as a number, when it is IPv4. */
  readonly routerId?: number;
}

/** A route that the speaker has told. */
export interface HeardRoute {
  readonly nextHop: string;
  readonly attributes: PathAttributes | undefined;
}

/** A BGP peer that sends whatever octets a test wants, well formed or not, and keeps what it hears. */
export class RawBgpPeer {
  readonly #socket: Socket;
  readonly #context: DecodeContext;
  readonly #splitter = new FrameSplitter();
  readonly #seen = new Set<Message["kind"]>();
  /** What the speaker has told and not withdrawn, by prefix. */
  readonly heard: Map<string, HeardRoute> = new Map();
  notification: NotificationMessage | undefined;
  isClosed = false;

  private constructor({ from, to, asn, speakerAsn }: RawPeerConfig) {
    this.#context = { fourOctetAs: true, external: asn !== speakerAsn, families: [4, 6] };
    this.#socket = connect({ host: to, port: 179, localAddress: from });
    this.#socket.on("data", (bytes) => this.#received(bytes));
    this.#socket.on("close", () => {
      this.isClosed = true;
    });
    // A connection that is reset: told by "close".
    this.#socket.on("error", () => undefined);
  }

  /** Connects, and sends these octets in place of an OPEN. */
  static opening(config: RawPeerConfig, open: Uint8Array): RawBgpPeer {
    const peer = new RawBgpPeer(config);
    peer.send(open);
    return peer;
  }

  /** A session that is Established, from this side. */
  static async established(config: RawPeerConfig): Promise<RawBgpPeer> {
    const peer = RawBgpPeer.opening(config, encodeOpen(openOf(config)));
    await waitFor(() => peer.#seen.has("open"), { what: "OPEN" });
    peer.send(encodeKeepalive());
    await waitFor(() => peer.#seen.has("keepalive"), { what: "KEEPALIVE" });
    return peer;
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  #received(bytes: Uint8Array): void {
    this.#splitter.push(bytes, (frame) => {
      const decoded = decodeMessage(frame, this.#context);
      if (!decoded.ok) throw new Error(`The speaker sent what is malformed: ${decoded.reason}`);
      const { message } = decoded;
      this.#seen.add(message.kind);
      if (message.kind === "update") this.#hear(message);
      if (message.kind === "notification") this.notification = message;
    });
  }

  #hear({ withdrawn, announced, attributes, treatedAsWithdraw, discarded }: UpdateMessage): void {
    const wrong = treatedAsWithdraw ?? discarded;
    if (wrong !== undefined) throw new Error(`The speaker sent what is malformed: ${wrong}`);
    for (const prefix of withdrawn.flatMap(unpack)) this.heard.delete(prefix);
    for (const { prefixes, nextHop } of announced) {
      for (const prefix of unpack(prefixes)) this.heard.set(prefix, { nextHop, attributes });
    }
  }
}

/** IPv4 and IPv6, 4-octet AS; nothing else that could change the handling of errors. */
export function openOf({
  from,
  asn,
  routerId = from.split(".").reduce((id, octet) => id * 256 + Number(octet), 0),
}: Pick<RawPeerConfig, "from" | "asn" | "routerId">): OpenMessage {
  return {
    kind: "open",
    asn: asn as Asn,
    holdSeconds: 0,
    routerId,
    capabilities: [
      { kind: "multiprotocol", afi: 1, safi: 1 },
      { kind: "multiprotocol", afi: 2, safi: 1 },
      { kind: "fourOctetAs", asn: asn as Asn },
    ],
  };
}
