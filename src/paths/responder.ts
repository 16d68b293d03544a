import type { Clock } from "../lib/clock.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import { Arrivals } from "./arrivals.ts";
import { type Datagram, decodeDatagram, encodeDatagram, isAuthentic } from "./datagram.ts";
import type { PathKeys } from "./keys.ts";
import type { NodeState } from "./path.ts";
import { addressesOf, type PathPeer, type PeerBook } from "./peers.ts";
import { RateLimit } from "./rate-limit.ts";
import { jsonOf, type StateBody } from "./state-body.ts";

export interface ResponderDeps {
  readonly keys: PathKeys;
  readonly peers: PeerBook;
  readonly clock: Clock;
  /** What this node says of itself. */
  state(): Promise<NodeState>;
}

/** Probes whose arrival one question asks for, at most. */
export const maxAsked = 32;

const perNode = { perSecond: 200, burst: 400 };
const inAll = { perSecond: 2000, burst: 2000 };

/** Body of an "ask": the first number and how many. */
export interface AskBody {
  readonly first: number;
  readonly count: number;
}

/**
 * Decides what is answered (docs/check-paths.md, "Who answers"): only what a node of the cluster sent
 * from an address of its own, and never with more octets than it sent.
 */
export class Responder {
  readonly #deps: ResponderDeps;
  readonly #limit = new RateLimit(perNode, inAll);
  readonly #arrivals = new Arrivals();

  constructor(deps: ResponderDeps) {
    this.#deps = deps;
  }

  /** The answer to a datagram; undefined: none. */
  async answerTo(bytes: Uint8Array, from: IpAddr): Promise<Uint8Array | undefined> {
    const { peers, clock } = this.#deps;
    const datagram = decodeDatagram(bytes);
    const peer = datagram && peers.other(datagram.sender);
    const key = peer && this.keyOf(peer, from);
    if (datagram === undefined || peer === undefined || key === undefined) return undefined;
    // What does not come from a node's address uses up nobody's share.
    const now = clock.now();
    if (!this.#limit.take(peer.name, now)) return undefined;
    if (!isAuthentic(bytes, key)) return undefined;
    if (datagram.answerLength > bytes.length) return undefined;
    if (datagram.kind === "probe") return this.#answerProbe(datagram, key);
    return datagram.kind === "ask" ? this.#answerAsk(datagram, key) : undefined;
  }

  /** The key that is shared with a peer, if `from` is an address of its own. */
  keyOf(peer: PathPeer, from: IpAddr): Uint8Array | undefined {
    if (peer.publicKey === undefined || !addressesOf(peer).includes(from)) return undefined;
    return this.#deps.keys.sharedWith(peer.publicKey);
  }

  #answerProbe(probe: Datagram, key: Uint8Array): Uint8Array | undefined {
    this.#arrivals.add(probe.sender, probe.run, probe.number);
    return this.#encoded({ ...probe, kind: "answer", body: new Uint8Array() }, key);
  }

  async #answerAsk(ask: Datagram, key: Uint8Array): Promise<Uint8Array | undefined> {
    const body = jsonOf<AskBody>(ask.body);
    const { first = Number.NaN, count = Number.NaN } = body ?? {};
    if (!Number.isInteger(first) || !(count >= 0)) return undefined;
    const asked = Math.min(count, maxAsked);
    const arrived = this.#arrivals.since(ask.sender, ask.run, first, asked);
    const state: StateBody = { ...(await this.#deps.state()), arrived };
    const withBody = (content: StateBody) =>
      this.#encoded({ ...ask, kind: "state", body: Buffer.from(JSON.stringify(content)) }, key);
    const { tunnels: _noRoom, ...others } = state;
    return withBody(state) ?? withBody(others);
  }

  /** Undefined when it does not fit. */
  #encoded(answer: Datagram, key: Uint8Array): Uint8Array | undefined {
    const sender = this.#deps.peers.own?.name;
    if (sender === undefined) return undefined;
    try {
      return encodeDatagram({ ...answer, sender, answerLength: 0 }, answer.answerLength, key);
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }
}
