import type { PeerConfig } from "./peer.ts";
import type { Connection } from "./transport.ts";

/** Messages of one session on their way in or out. */
export interface TappedMessages {
  readonly direction: "received" | "sent";
  readonly peer: PeerConfig;
  readonly connection: Pick<Connection, "localAddress" | "remoteAddress">;
  /** Whole messages: one that came in, before anything else looks at it, or some that go out. */
  readonly bytes: Uint8Array;
}

/** Called for all messages; `bytes` are valid until it returns. */
export type MessageTap = (messages: TappedMessages) => void;

/** Where a tap is set, and taken away again: a session without one spends nothing on it. */
export interface TapPoint {
  tap: MessageTap | undefined;
}
