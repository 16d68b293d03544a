import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { FsmEffect, FsmEvent, FsmTimer } from "../fsm/events.ts";
import { type Fsm, type FsmState, initialFsm, step } from "../fsm/fsm.ts";
import type { DecodeContext } from "../wire/attribute-rows.ts";
import { decodeMessage } from "../wire/decode.ts";
import { type Frame, FrameSplitter } from "../wire/frame.ts";
import type { Message, OpenMessage, UpdateMessage } from "../wire/message.ts";
import { cease, encodeNotification, errorCode } from "../wire/notification.ts";
import { encodeOpen } from "../wire/open.ts";
import { encodeKeepalive } from "../wire/route-refresh.ts";
import { DeadlineTimer } from "./deadline-timer.ts";
import { negotiate } from "./negotiate.ts";
import type { Negotiated, PeerConfig } from "./peer.ts";
import type { Connection, Transport } from "./transport.ts";

export interface SessionConfig {
  readonly peer: PeerConfig;
  /** Made anew for every connection: the restarting bit changes. */
  readonly localOpen: () => OpenMessage;
  /** Queue over which `send` gives false, in octets. */
  readonly highWaterBytes: number;
}

/** What a session tells its peer shell. */
export interface SessionHandlers {
  /** After the effects of the transition. */
  readonly transition: (session: Session, from: FsmState) => void;
  readonly established: (session: Session, negotiated: Negotiated) => void;
  readonly update: (session: Session, update: UpdateMessage) => void;
  readonly refresh: (session: Session, family: { afi: number; safi: number }) => void;
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
  readonly handlers: SessionHandlers;
}

/** A queue of this many high-water marks ends the session: the speaker does not listen. */
const queueLimitFactor = 16;
/** Least time without ever an empty queue that ends the session (RFC 9687 section 4). */
const sendHoldMs = 480_000;
const sendHoldExpired = { code: 8, subcode: 0, data: new Uint8Array(0) };

const keepalive = encodeKeepalive();
const beforeOpen: DecodeContext = { fourOctetAs: false, external: false, families: [4, 6] };

/** One TCP connection after another and their FSM: turns callbacks into events, performs effects. */
export class Session {
  readonly #config: SessionConfig;
  readonly #deps: SessionDeps;
  readonly #timers: Readonly<Record<FsmTimer, DeadlineTimer>>;
  readonly #events: FsmEvent[] = [];
  #isStepping = false;
  #isDisposed = false;
  #fsm: Fsm = initialFsm;
  #connection: Connection | undefined;
  #initiator: "local" | "remote" = "local";
  #context = beforeOpen;
  #isFull = false;
  #emptyQueueMs = 0;

  constructor(config: SessionConfig, deps: SessionDeps) {
    this.#config = config;
    this.#deps = deps;
    const timer = (name: FsmTimer) => new DeadlineTimer(deps.clock, () => this.#expired(name));
    this.#timers = {
      connectRetry: timer("connectRetry"),
      hold: timer("hold"),
      keepalive: timer("keepalive"),
      idleHold: timer("idleHold"),
    };
  }

  get state(): FsmState {
    return this.#fsm.state;
  }

  get reason(): string {
    return this.#fsm.reason;
  }

  /** The peer's OPEN, from OpenConfirm on. */
  get open(): OpenMessage | undefined {
    return this.#fsm.open;
  }

  /** Who opened the present connection. */
  get initiator(): "local" | "remote" {
    return this.#initiator;
  }

  /** `passive`: waits for adopt() this time, whatever is configured. */
  start({ passive = false }: { readonly passive?: boolean } = {}): void {
    this.#dispatch({ kind: "start", passive });
  }

  stop(ceaseSubcode: number, quiet: boolean): void {
    this.#dispatch({ kind: "stop", ceaseSubcode, quiet });
  }

  /** Takes a connection that the peer has opened. The state must be Active. */
  adopt(connection: Connection): void {
    this.#initiator = "remote";
    this.#use(connection);
    this.#dispatch({ kind: "tcpConnected" });
  }

  collisionLost(): void {
    this.#dispatch({ kind: "collisionLost" });
  }

  /** Lets go of an Established connection in favour of a new one (RFC 4724 section 5). */
  replaced(): void {
    this.#dispatch({ kind: "replaced" });
  }

  /** Ends it for good, without a word, after what is under way; what was sent still goes out. */
  dispose(): void {
    this.#isDisposed = true;
    if (!this.#isStepping) this.#release();
  }

  /** False when not Established (nothing is sent) or when the queue is over the high-water mark. */
  send(bytes: Uint8Array): boolean {
    const connection = this.#connection;
    if (this.state !== "Established" || connection === undefined) return false;
    connection.write(bytes);
    const queued = connection.queuedBytes;
    if (queued <= this.#config.highWaterBytes) return true;
    this.#isFull = true;
    if (queued > this.#config.highWaterBytes * queueLimitFactor) {
      const data = new Uint8Array(0);
      const notification = { code: errorCode.cease, subcode: cease.outOfResources, data };
      const reason = `The send queue has ${queued} octets`;
      this.#dispatch({ kind: "fault", notification, reason });
    }
    return false;
  }

  #dispatch(event: FsmEvent): void {
    if (this.#isDisposed) return;
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        this.#step(next);
      }
    } finally {
      this.#isStepping = false;
      if (this.#isDisposed) this.#release();
    }
  }

  #release(): void {
    for (const timer of Object.values(this.#timers)) timer.stop();
    this.#close();
  }

  #step(event: FsmEvent): void {
    const from = this.#fsm.state;
    const [fsm, effects] = step(this.#fsm, event, this.#config.peer);
    this.#fsm = fsm;
    for (const effect of effects) this.#perform(effect);
    if (from !== fsm.state) this.#deps.handlers.transition(this, from);
  }

  #perform(effect: FsmEffect): void {
    const { handlers } = this.#deps;
    switch (effect.kind) {
      case "connect":
        this.#connect();
        break;
      case "send":
        this.#sendOwn(effect.message);
        break;
      case "notify":
        this.#connection?.write(encodeNotification(effect.notification));
        break;
      case "closeTcp":
        this.#close();
        break;
      case "startTimer":
        this.#timers[effect.timer].start(this.#jittered(effect.timer, effect.seconds));
        break;
      case "stopTimer":
        this.#timers[effect.timer].stop();
        break;
      case "established":
        this.#established(effect.open);
        break;
      case "deliver":
        handlers.update(this, effect.update);
        break;
      case "refresh":
        handlers.refresh(this, effect);
        break;
      case "down":
        handlers.down(this, effect.reason, effect.graceful);
        break;
    }
  }

  #connect(): void {
    this.#initiator = "local";
    try {
      this.#use(this.#deps.transport.connect(this.#config.peer));
    } catch (error) {
      this.#dispatch({ kind: "tcpFailed", reason: errorMessage(error) });
    }
  }

  #use(connection: Connection): void {
    this.#connection = connection;
    this.#context = beforeOpen;
    this.#isFull = false;
    this.#emptyQueueMs = this.#deps.clock.now();
    const splitter = new FrameSplitter();
    connection.attach({
      connected: () => this.#dispatch({ kind: "tcpConnected" }),
      data: (bytes) => this.#received(connection, splitter, bytes),
      closed: (reason) => {
        this.#connection = undefined;
        this.#dispatch({ kind: "tcpFailed", reason });
      },
      drained: () => this.#drained(),
    });
  }

  #received(connection: Connection, splitter: FrameSplitter, bytes: Uint8Array): void {
    const failed = splitter.push(bytes, (frame) => {
      if (this.#connection === connection) this.#frame(frame);
    });
    if (failed === undefined || this.#connection !== connection) return;
    this.#dispatch({ kind: "fault", ...failed });
  }

  #frame(frame: Frame): void {
    const decoded = decodeMessage(frame, this.#context);
    if (decoded.ok) this.#dispatch(eventOf(decoded.message));
    else this.#dispatch({ kind: "fault", ...decoded });
  }

  #established(open: OpenMessage): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { peer } = this.#config;
    const { holdSeconds, keepaliveSeconds } = this.#fsm;
    const { localAddress, remoteAddress: peerAddress } = connection;
    const session = { holdSeconds, keepaliveSeconds, localAddress, peerAddress };
    const negotiated = negotiate(peer, open, session);
    const { fourOctetAs, families } = negotiated;
    this.#context = { fourOctetAs, families, external: peer.remoteAs !== peer.localAs };
    this.#deps.handlers.established(this, negotiated);
  }

  #sendOwn(message: "open" | "keepalive"): void {
    const bytes = message === "open" ? encodeOpen(this.#config.localOpen()) : keepalive;
    this.#connection?.write(bytes);
  }

  #drained(): void {
    this.#emptyQueueMs = this.#deps.clock.now();
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#deps.handlers.drained(this);
  }

  #expired(timer: FsmTimer): void {
    if (timer === "keepalive" && this.#isSendStuck()) {
      const reason = "The peer takes no bytes";
      this.#dispatch({ kind: "fault", notification: sendHoldExpired, reason });
    } else if (timer === "hold" && this.#connection !== undefined) {
      // This process may have been busy for the whole hold time, with the peer's messages waiting.
      this.#connection.afterPendingReads(() => {
        if (this.#timers.hold.isExpired) this.#dispatch({ kind: "timerExpired", timer });
      });
    } else {
      this.#dispatch({ kind: "timerExpired", timer });
    }
  }

  #isSendStuck(): boolean {
    const now = this.#deps.clock.now();
    if ((this.#connection?.queuedBytes ?? 0) === 0) this.#emptyQueueMs = now;
    return now - this.#emptyQueueMs > Math.max(sendHoldMs, this.#fsm.holdSeconds * 2000);
  }

  #close(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) this.#deps.handlers.closing(connection.close());
  }

  #jittered(timer: FsmTimer, seconds: number): number {
    const share = timer === "hold" ? 1 : 0.75 + this.#deps.random() / 4;
    return seconds * 1000 * share;
  }
}

function eventOf(message: Message): FsmEvent {
  switch (message.kind) {
    case "open":
      return { kind: "openReceived", open: message };
    case "update":
      return { kind: "updateReceived", update: message };
    case "notification":
      return { kind: "notificationReceived", notification: message };
    case "keepalive":
      return { kind: "keepaliveReceived" };
    case "routeRefresh":
      return { kind: "refreshReceived", afi: message.afi, safi: message.safi };
  }
}
