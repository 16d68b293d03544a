import type { IpAddr } from "../../lib/ip-addr.ts";

/** What a session hears of its TCP connection. */
export interface ConnectionHandlers {
  /** Only for a connection that we open. */
  readonly connected: () => void;
  /** The bytes are the receiver's until it returns. */
  readonly data: (bytes: Uint8Array) => void;
  /** Once, and nothing after it; never after our own close() or destroy(). */
  readonly closed: (reason: string) => void;
  /** All that was written is with the kernel, after there was much. */
  readonly drained: () => void;
}

/** One TCP connection, opened by us or by the peer. */
export interface Connection {
  /** Known once connected. */
  readonly localAddress: IpAddr;
  readonly remoteAddress: IpAddr;
  /** Octets that the kernel has not taken yet. */
  readonly queuedBytes: number;
  /** Nothing is read before. */
  attach(handlers: ConnectionHandlers): void;
  write(bytes: Uint8Array): void;
  /** Ends the connection once all is sent, at the latest after some seconds. Resolves then. */
  close(): Promise<void>;
  /** Calls back when the bytes that the kernel holds by now had a chance to be read. */
  afterPendingReads(callback: () => void): void;
}

export interface ConnectTarget {
  readonly address: IpAddr;
  readonly port: number;
  /** Absent: the kernel chooses. */
  readonly localAddress?: IpAddr;
}

export interface ListenHandlers {
  readonly listening: (port: number) => void;
  readonly accepted: (connection: Connection) => void;
  readonly failed: (error: unknown) => void;
}

/** The door to TCP. Production passes tcp-transport.ts, unit tests one in memory. */
export interface Transport {
  connect(target: ConnectTarget): Connection;
  /** Gives what stops listening. */
  listen(
    endpoint: { readonly address: IpAddr; readonly port: number },
    handlers: ListenHandlers,
  ): () => void;
}
