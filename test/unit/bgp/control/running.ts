import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { ControlLine } from "../../../../src/bgp/control/protocol.ts";
import type { PeerStatus } from "../../../../src/bgp/peer/peer.ts";
import { NextHops } from "../../../../src/bgp/rib/next-hop.ts";
import type { SpeakerEvent } from "../../../../src/bgp/speaker/events.ts";
import type { RunningSpeaker } from "../../../../src/bgp/speaker/run-speaker.ts";
import { Speaker } from "../../../../src/bgp/speaker/speaker.ts";
import type { SpeakerHost } from "../../../../src/bgp/speaker/speaker-host.ts";
import { parseAsn } from "../../../../src/lib/asn.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { Secret } from "../../../../src/lib/secret.ts";
import { type PlainPeer, plainSpeaker } from "../speaker/plain.ts";

const counts = {
  open: 3,
  update: 7,
  notification: 2,
  keepalive: 11,
  routeRefresh: 0,
  bytes: 1000,
};
const counters = {
  received: counts,
  sent: counts,
  established: 3,
  queuedBytes: 0,
  treatedAsWithdraw: 4,
  attributeDiscard: 5,
};

/** A reflector at 10.0.0.1 whose sessions are only said to be there. */
export class FakeRunning implements RunningSpeaker {
  readonly speaker: Speaker = new Speaker();
  readonly startedAt = "2026-01-01T00:00:00.000Z";
  readonly sent: { readonly name: string; readonly bytes: Uint8Array }[] = [];
  readonly shutdowns: Map<string, string | undefined> = new Map();

  constructor(neighbors: readonly PlainPeer[]) {
    const own = { address: "10.0.0.1", asn: 64512 };
    const config = plainSpeaker(own, neighbors, { install: false, clusterId: 0x0a000001 });
    this.post({ kind: "nextHops", nextHops: new NextHops({ routes: [], ownAddresses: [] }) });
    this.post({ kind: "configured", config });
    for (const { config: peer } of config.peers) {
      this.post({
        kind: "peer",
        event: {
          kind: "established",
          name: peer.name,
          negotiated: {
            holdSeconds: 90,
            keepaliveSeconds: 30,
            families: peer.families,
            fourOctetAs: true,
            routeRefresh: true,
            peerRouterId: 0x0a000002,
            peerAs: parseAsn(64512),
            localAddress: parseIpAddr("10.0.0.1"),
            peerAddress: peer.address,
          },
        },
      });
    }
  }

  /** A flush that was asked for is done at once. */
  post(event: SpeakerEvent): void {
    const effects = this.speaker.handle(event);
    if (effects.some(({ kind }) => kind === "flushSoon")) this.post({ kind: "flush" });
  }

  get host(): SpeakerHost {
    const host: Pick<SpeakerHost, "status" | "post" | "send" | "setShutdown"> = {
      status: () => this.#status(),
      post: (event) => this.post(event),
      send: (name, bytes) => this.sent.push({ name, bytes }),
      setShutdown: (name, message) => this.shutdowns.set(name, message),
    };
    return host as SpeakerHost;
  }

  #status(): readonly PeerStatus[] {
    return [...this.speaker.peers.all()].map(({ peer, negotiated }) => ({
      name: peer.config.name,
      address: peer.config.address,
      state: "Established",
      since: this.startedAt,
      reason: "Established",
      ...(negotiated === undefined ? {} : { negotiated }),
      ...(peer.config.password === undefined ? {} : { lastError: 'Cease: "later"' }),
      counters,
    }));
  }
}

export const secretNeighbor: PlainPeer = {
  address: "10.0.0.2",
  asn: 64512,
  client: true,
  config: { password: new Secret("tell no one") },
};

/** A client of the socket that reads line by line. */
export class TestClient {
  readonly socket: Socket;
  readonly #lines: AsyncIterator<string>;

  constructor(path: string) {
    this.socket = connect(path);
    // What becomes of a connection is seen by its lines.
    this.socket.on("error", () => undefined);
    this.#lines = createInterface({ input: this.socket })[Symbol.asyncIterator]();
  }

  /** The next line; undefined at the end. */
  async line(): Promise<ControlLine | undefined> {
    const { value, done } = await this.#lines.next();
    return done === true ? undefined : (JSON.parse(value) as ControlLine);
  }

  /** All lines of the answer to one request. */
  async ask(request: unknown): Promise<readonly ControlLine[]> {
    this.socket.write(`${typeof request === "string" ? request : JSON.stringify(request)}\n`);
    const lines: ControlLine[] = [];
    for (let line = await this.line(); line !== undefined; line = await this.line()) {
      lines.push(line);
      if (!("row" in line)) break;
    }
    return lines;
  }
}
