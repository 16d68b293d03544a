import type { Clock } from "../../lib/clock.ts";
import type { FsmState } from "../fsm/fsm.ts";
import type { OpenMessage, RouteRefreshMessage, UpdateMessage } from "../wire/message.ts";
import type { MessageCounter } from "./message-counter.ts";
import type { TapPoint } from "./message-tap.ts";
import type { Negotiated, PeerConfig } from "./peer.ts";
import type { Session } from "./session.ts";
import type { Transport } from "./transport.ts";

export interface SessionConfig {
  readonly peer: PeerConfig;
  /** Made anew for every connection: the restarting bit changes. */
  readonly localOpen: () => OpenMessage;
  /** Queue over which `send` gives false, in octets. */
  readonly highWaterBytes: number;
}

/** What a session tells its peer shell. */
export interface SessionHandlers {
  /** After the effects of the transition: to another state, or to the same one for a new reason. */
  readonly transition: (session: Session, from: FsmState) => void;
  /** A valid OPEN has come, and is not answered yet. "wait": resume() or collisionLost() follows. */
  readonly opened: (session: Session, open: OpenMessage) => "answer" | "wait" | "close";
  /** The peer has sent its KEEPALIVE on a connection whose OPEN waits. */
  readonly confirmed: (session: Session) => void;
  readonly established: (session: Session, negotiated: Negotiated) => void;
  readonly update: (session: Session, update: UpdateMessage) => void;
  readonly refresh: (session: Session, refresh: RouteRefreshMessage) => void;
  readonly down: (session: Session, reason: string, graceful: boolean) => void;
  readonly drained: (session: Session) => void;
  /** A connection ends; the promise settles when it has. */
  readonly closing: (closed: Promise<void>) => void;
}

export interface SessionDeps {
  readonly clock: Clock;
  readonly transport: Transport;
  /** 0 to 1, for the jitter of timers (RFC 4271 section 10). */
  readonly random: () => number;
  readonly received: MessageCounter;
  readonly sent: MessageCounter;
  readonly tapPoint?: TapPoint | undefined;
  readonly handlers: SessionHandlers;
}
