import type {
  ConnectionHandlers,
  IncomingConnection,
  Transport,
} from "../../../../src/bgp/peer/transport.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import type { Prefix } from "../../../../src/lib/prefix.ts";
import type { Secret } from "../../../../src/lib/secret.ts";

type Accept = (connection: IncomingConnection) => void;

/** Hosts that speak TCP in memory. Nothing moves but in run(). */
export class MemoryNetwork {
  readonly listeners: Map<string, Accept> = new Map<string, Accept>();
  /** Keys that listeners have, by address of the listener. */
  readonly keys: Map<IpAddr, ReadonlyMap<Prefix, Secret>> = new Map();
  /** Prefixes whose key cannot be set. */
  readonly badKeys: Map<Prefix, string> = new Map();
  readonly connections: MemoryConnection[] = [];
  /** Bytes and ends of connections are lost while it is set. */
  isCut: boolean = false;
  /** How far hosts are from one another. */
  hops: number = 1;
  /** Connection attempts of each address. */
  readonly attempts: Map<IpAddr, number> = new Map<IpAddr, number>();
  /** One of so many that may happen next. Absent: in the order in which they were sent. */
  choose: ((count: number) => number) | undefined;
  #waiting: { readonly action: () => void; readonly at: object }[] = [];

  /** What happens `at` the same end of a connection happens in order. */
  later(action: () => void, at: object): void {
    this.#waiting.push({ action, at });
  }

  /** Delivers all that is on its way, and what follows from it. */
  run(): void {
    for (let i = 0; this.#waiting.length > 0; i++) {
      if (i > 100_000) throw new Error("The network never comes to rest");
      this.#takeNext()();
    }
  }

  #takeNext(): () => void {
    const firsts = [...new Map(this.#waiting.toReversed().map((each) => [each.at, each])).values()];
    const next = this.choose && firsts[this.choose(firsts.length)];
    const index = next === undefined ? 0 : this.#waiting.indexOf(next);
    const [taken] = this.#waiting.splice(index, 1);
    return taken?.action ?? (() => undefined);
  }

  host(address: IpAddr): Transport {
    return {
      connect: (target) => {
        this.attempts.set(address, (this.attempts.get(address) ?? 0) + 1);
        const ours = new MemoryConnection(this, { local: address, remote: target.address });
        const theirs = new MemoryConnection(this, { local: target.address, remote: address });
        ours.other = theirs;
        theirs.other = ours;
        this.connections.push(ours);
        const key = `${target.address}:${target.port}`;
        this.later(() => this.#arrive(ours, theirs, key), theirs);
        return ours;
      },
      listen: (endpoint, accepted) => {
        const key = `${endpoint.address}:${endpoint.port}`;
        this.listeners.set(key, accepted);
        return {
          port: endpoint.port,
          setKeys: (keys) => {
            this.keys.set(endpoint.address, keys);
            return new Map([...this.badKeys].filter(([prefix]) => keys.has(prefix)));
          },
          close: () => this.listeners.delete(key),
        };
      },
    };
  }

  #arrive(ours: MemoryConnection, theirs: MemoryConnection, key: string): void {
    if (ours.isClosed || this.isCut) return;
    const listener = this.listeners.get(key);
    if (listener === undefined) {
      ours.ends("Connection refused");
      return;
    }
    this.later(() => {
      if (!ours.isClosed) ours.handlers?.connected();
    }, ours);
    listener(theirs);
  }
}

export class MemoryConnection implements IncomingConnection {
  readonly localAddress: IpAddr;
  readonly remoteAddress: IpAddr;
  readonly #network: MemoryNetwork;
  /** All that was written, in order. */
  readonly written: Uint8Array[] = [];
  queuedBytes: number = 0;
  other: MemoryConnection | undefined;
  handlers: ConnectionHandlers | undefined;
  isClosed: boolean = false;

  constructor(network: MemoryNetwork, ends: { readonly local: IpAddr; readonly remote: IpAddr }) {
    this.#network = network;
    this.localAddress = ends.local;
    this.remoteAddress = ends.remote;
  }

  attach(handlers: ConnectionHandlers): void {
    this.handlers = handlers;
  }

  write(bytes: Uint8Array): void {
    this.written.push(bytes);
    const copy = bytes.slice();
    const { other } = this;
    if (other === undefined || this.#network.isCut) return;
    this.#network.later(() => other.receive(copy), other);
  }

  close(): Promise<void> {
    this.isClosed = true;
    this.handlers = undefined;
    const { other } = this;
    if (other !== undefined && !this.#network.isCut) {
      this.#network.later(() => other.ends("The peer has closed"), other);
    }
    return Promise.resolve();
  }

  limitHops(hops: number): boolean {
    return this.#network.hops <= hops;
  }

  refuse(): void {
    void this.close();
  }

  afterPendingReads(callback: () => void): void {
    this.#network.later(callback, this);
  }

  receive(bytes: Uint8Array): void {
    if (!this.isClosed) this.handlers?.data(bytes);
  }

  ends(reason: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.handlers?.closed(reason);
  }
}
