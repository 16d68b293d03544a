import { errorMessage } from "../../lib/errors.ts";
import type { CeaseReason, FsmEffect, FsmEvent, FsmTimer } from "../fsm/events.ts";
import { type Fsm, type FsmState, initialFsm } from "../fsm/fsm.ts";
import { checkOpen } from "../fsm/open-check.ts";
import { step } from "../fsm/step.ts";
import type { DecodeContext } from "../wire/context.ts";
import { decodeMessage } from "../wire/decode.ts";
import { type Frame, FrameSplitter, wholeMessage } from "../wire/frame.ts";
import { messageType } from "../wire/header.ts";
import type { Message, OpenMessage, UpdateMessage } from "../wire/message.ts";
import {
  cease,
  encodeNotification,
  errorCode,
  type NotificationBody,
} from "../wire/notification.ts";
import { encodeOpen, openSubcode } from "../wire/open.ts";
import { readPlainUpdate } from "../wire/plain-update.ts";
import { encodeKeepalive } from "../wire/route-refresh.ts";
import { agree, decodeContextOf } from "./agreement.ts";
import type { TappedMessages } from "./message-tap.ts";
import { withoutCapabilities } from "./negotiate.ts";
import type { SessionConfig, SessionDeps } from "./session-handlers.ts";
import { SessionTimers } from "./session-timers.ts";
import type { Connection } from "./transport.ts";

/** A queue of this many high-water marks ends the session: the speaker does not listen. */
const queueLimitFactor = 16;

const keepalive = encodeKeepalive();
const beforeOpen: DecodeContext = { fourOctetAs: false, external: false, families: [4, 6] };

/** One TCP connection after another and their FSM: turns callbacks into events, performs effects. */
export class Session {
  readonly #config: SessionConfig;
  readonly #deps: SessionDeps;
  readonly #timers: SessionTimers;
  readonly #events: FsmEvent[] = [];
  /** From the OPEN on that waits for the end of a collision. */
  #waiting: FsmEvent[] = [];
  #isStepping = false;
  /** The hold timer was started anew by an UPDATE of the octets that are being read. */
  #hasHeard = false;
  #isDisposed = false;
  #fsm: Fsm;
  #connection: Connection | undefined;
  #initiator: "local" | "remote" = "local";
  #localOpen: OpenMessage | undefined;
  #splitter = new FrameSplitter();
  #context = beforeOpen;
  #isFull = false;
  /** The peer refuses optional parameters: the next OPEN has none. */
  #speaksPlainly = false;

  /** `failures`: those of the peer's session before, for damping. */
  constructor(config: SessionConfig, deps: SessionDeps, failures = 0) {
    this.#config = config;
    this.#deps = deps;
    this.#fsm = { ...initialFsm, failures };
    this.#timers = new SessionTimers({
      clock: deps.clock,
      random: deps.random,
      idleHoldSeconds: config.peer.idleHoldSeconds,
      expired: (timer) => this.#expired(timer),
    });
  }

  get state(): FsmState {
    return this.#fsm.state;
  }

  get reason(): string {
    return this.#fsm.reason;
  }

  get failures(): number {
    return this.#fsm.failures;
  }

  /** Octets that TCP has not taken yet. */
  get queuedBytes(): number {
    return this.#connection?.queuedBytes ?? 0;
  }

  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  /** Idle, but the peer may come back already. */
  get admitsPeer(): boolean {
    return this.#fsm.admitsPeer;
  }

  /** Waits for the peer, without a connection. */
  get isFree(): boolean {
    return this.state === "Active" && !this.isConnected;
  }

  /** The peer's OPEN has come, and is to be answered when a collision is over. */
  get isWaiting(): boolean {
    return this.#waiting.length > 0;
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

  stop(reason: CeaseReason, quiet: boolean): void {
    this.#dispatch({ kind: "stop", quiet, ...reason });
  }

  /** Ends a connection on which our OPEN is out; the next one follows by itself. */
  reset(reason: CeaseReason): void {
    this.#dispatch({ kind: "reset", ...reason });
  }

  /** Takes a connection that the peer has opened. It must be free. */
  adopt(connection: Connection): void {
    this.#initiator = "remote";
    this.#use(connection);
    this.#dispatch({ kind: "tcpConnected" });
  }

  /** Answers the OPEN that waits, if there is one. */
  resume(): void {
    const events = this.#waiting;
    this.#waiting = [];
    for (const event of events) this.#dispatch(event);
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
    this.#deps.sent.addAll(bytes);
    this.#tapped("sent", bytes);
    this.#watchQueue();
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
      this.#stepAll();
    } finally {
      this.#isStepping = false;
      if (this.#isDisposed) this.#release();
    }
  }

  #stepAll(): void {
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      this.#step(next);
    }
  }

  #release(): void {
    this.#timers.stopAll();
    this.#close();
  }

  #step(event: FsmEvent): void {
    const before = this.#fsm;
    const [fsm, effects] = step(before, event, this.#config.peer);
    this.#fsm = fsm;
    for (const effect of effects) this.#perform(effect);
    if (before.reason !== fsm.reason) this.#deps.handlers.transition(this, before.state);
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
        this.#write(encodeNotification(effect.notification));
        break;
      case "closeTcp":
        this.#close();
        break;
      case "startTimer":
        this.#timers.start(effect.timer, effect.seconds);
        break;
      case "stopTimer":
        this.#timers.stop(effect.timer);
        break;
      case "stopTimers":
        this.#timers.stopAllButIdleHold();
        break;
      case "established":
        this.#established(effect.open);
        break;
      case "deliver":
        handlers.update(this, effect.update);
        break;
      case "refresh":
        handlers.refresh(this, effect.refresh);
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
    this.#waiting = [];
    this.#context = beforeOpen;
    this.#isFull = false;
    this.#splitter = new FrameSplitter();
    connection.attach({
      connected: () => this.#dispatch({ kind: "tcpConnected" }),
      data: (bytes) => this.#received(connection, bytes),
      closed: (reason) => {
        this.#connection = undefined;
        this.#dispatch({ kind: "tcpFailed", reason });
      },
      progressed: () => this.#progressed(),
      drained: () => this.#drained(),
    });
  }

  #received(connection: Connection, bytes: Uint8Array): void {
    this.#hasHeard = false;
    const failed = this.#splitter.push(bytes, (frame) => {
      if (this.#connection === connection) this.#frame(frame);
    });
    if (failed === undefined || this.#connection !== connection) return;
    this.#dispatch({ kind: "fault", ...failed });
  }

  #frame(frame: Frame): void {
    this.#deps.received.add(frame.type, frame.length);
    if (this.#deps.tapPoint?.tap !== undefined) this.#tapped("received", wholeMessage(frame));
    if (frame.type === messageType.update && this.state === "Established") {
      const update = readPlainUpdate(frame, this.#context);
      if (update !== undefined && !this.#isStepping) {
        this.#deliver(update);
        return;
      }
    }
    const decoded = decodeMessage(frame, this.#context);
    if (!decoded.ok) {
      this.#dispatch({ kind: "fault", ...decoded });
      return;
    }
    const { message } = decoded;
    if (message.kind === "notification" && isParameterError(message)) this.#speaksPlainly = true;
    this.#heard(message);
  }

  #heard(message: Message): void {
    const event = eventOf(message);
    if (this.#waiting.length > 0 && message.kind !== "notification") {
      this.#waiting.push(event);
      if (message.kind === "keepalive") this.#deps.handlers.confirmed(this);
      return;
    }
    const verdict = this.#isAwaited(message) ? this.#deps.handlers.opened(this, message) : "answer";
    if (verdict === "answer") this.#dispatch(event);
    else if (verdict === "wait") this.#waiting = [event];
    else this.collisionLost();
  }

  #isAwaited(message: Message): message is OpenMessage {
    const { state, delaysOpen } = this.#fsm;
    return (
      message.kind === "open" &&
      (state === "OpenSent" || delaysOpen) &&
      checkOpen(message, this.#config.peer) === undefined
    );
  }

  /** What the FSM says of an UPDATE in Established (fsm/connected.ts), without its events and effects. */
  #deliver(update: UpdateMessage): void {
    const { holdSeconds } = this.#fsm;
    if (holdSeconds > 0 && !this.#hasHeard) this.#timers.start("hold", holdSeconds);
    this.#hasHeard = true;
    this.#isStepping = true;
    try {
      this.#deps.handlers.update(this, update);
      this.#stepAll();
    } finally {
      this.#isStepping = false;
      if (this.#isDisposed) this.#release();
    }
  }

  #established(remote: OpenMessage): void {
    const connection = this.#connection;
    const local = this.#localOpen;
    if (connection === undefined || local === undefined) return;
    const { holdSeconds, keepaliveSeconds } = this.#fsm;
    const negotiated = agree({ local, remote }, { holdSeconds, keepaliveSeconds }, connection);
    this.#context = decodeContextOf(negotiated, this.#config.peer);
    if (negotiated.extendedMessages === true) this.#splitter.allowExtended();
    this.#deps.handlers.established(this, negotiated);
  }

  #sendOwn(message: "open" | "keepalive"): void {
    if (message === "keepalive") {
      this.#write(keepalive);
      return;
    }
    const full = this.#config.localOpen();
    this.#localOpen = this.#speaksPlainly ? withoutCapabilities(full) : full;
    this.#write(encodeOpen(this.#localOpen));
  }

  #write(bytes: Uint8Array): void {
    if (this.#connection === undefined) return;
    this.#connection.write(bytes);
    this.#deps.sent.addAll(bytes);
    this.#watchQueue();
  }

  #tapped(direction: TappedMessages["direction"], bytes: Uint8Array): void {
    const connection = this.#connection;
    const tap = this.#deps.tapPoint?.tap;
    if (tap === undefined || connection === undefined) return;
    tap({ direction, peer: this.#config.peer, connection, bytes });
  }

  #watchQueue(): void {
    this.#timers.watchQueue(this.#fsm.holdSeconds, this.queuedBytes);
  }

  #progressed(): void {
    this.#timers.pauseSendHold();
    this.#watchQueue();
  }

  #drained(): void {
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#deps.handlers.drained(this);
  }

  #expired(timer: FsmTimer): void {
    if (timer === "hold" && this.#connection !== undefined) {
      // This process may have been busy for the whole hold time, with the peer's messages waiting.
      this.#connection.afterPendingReads(() => {
        if (this.#timers.isHoldExpired) this.#dispatch({ kind: "timerExpired", timer });
      });
    } else {
      this.#dispatch({ kind: "timerExpired", timer });
    }
  }

  #close(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#waiting = [];
    if (connection !== undefined) this.#deps.handlers.closing(connection.close());
  }
}

function isParameterError({ code, subcode }: NotificationBody): boolean {
  return code === errorCode.open && subcode === openSubcode.parameter;
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
      return { kind: "refreshReceived", refresh: message };
  }
}
