import type { TcpTarget } from "../../kernel/tcp-socket.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { Secret } from "../../lib/secret.ts";

/** What a session hears of its TCP connection. */
export interface ConnectionHandlers {
  /** Only for a connection that we open. */
  readonly connected: () => void;
  /** The bytes are the receiver's until it returns. */
  readonly data: (bytes: Uint8Array) => void;
  /** Once, and nothing after it; never after our own close() or destroy(). */
  readonly closed: (reason: string) => void;
  /** The kernel has taken some of what was written. */
  readonly progressed: () => void;
  /** All that was written is with the kernel. */
  readonly drained: () => void;
}

/** One TCP connection, opened by us or by the peer. */
export interface Connection {
  /** Known once connected. */
  readonly localAddress: IpAddr;
  readonly remoteAddress: IpAddr;
  /** Known once connected. */
  readonly localPort?: number | undefined;
  readonly remotePort?: number | undefined;
  /** Interface of a link-local `remoteAddress`. */
  readonly zone?: string | undefined;
  /** Our address of the other family on the interface of `localAddress`. Looked up when it is read. */
  readonly otherLocalAddress?: IpAddr | undefined;
  /** Octets that the kernel has not taken yet. */
  readonly queuedBytes: number;
  /** To be called in the turn in which there is a connection: what is read before is lost. */
  attach(handlers: ConnectionHandlers): void;
  write(bytes: Uint8Array): void;
  /** Ends the connection once all is sent, at the latest after some seconds. Resolves then. */
  close(): Promise<void>;
  /** Calls back when the bytes that the kernel holds by now had a chance to be read. */
  afterPendingReads(callback: () => void): void;
}

/** A connection that somebody has opened to us. */
export interface IncomingConnection extends Connection {
  /**
   * GTSM (RFC 5082): false when the other end is further away than so many hops; else nothing that
   * comes from further away is taken from now on. To be called before attach().
   */
  limitHops(hops: number): boolean;
  /** Ends it without a word. */
  refuse(): void;
}

/** A socket that listens, from the moment on that there is one. */
export interface Listener {
  readonly port: number;
  /**
   * From now on these are the TCP-MD5 keys, exactly. Gives the prefixes whose key cannot be set, and
   * why: who comes from there must be refused.
   */
  setKeys(keys: ReadonlyMap<Prefix, Secret>): ReadonlyMap<Prefix, string>;
  close(): void;
}

/** The door to TCP. Production passes tcp-transport.ts, unit tests one in memory. */
export interface Transport {
  /** @throws {Error} when a password or hop limit cannot be set: never goes on without. */
  connect(target: TcpTarget): Connection;
  /** Port 0: any free one. @throws {Error} when it cannot listen there. */
  listen(
    endpoint: { readonly address: IpAddr; readonly port: number },
    accepted: (connection: IncomingConnection) => void,
  ): Listener;
}
