import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import { ipFamily } from "../../lib/ip-addr.ts";
import type { CeaseReason, FsmEffect, FsmEvent, FsmTimer } from "../fsm/events.ts";
import { type Fsm, type FsmState, initialFsm } from "../fsm/fsm.ts";
import { checkOpen } from "../fsm/open-check.ts";
import { step } from "../fsm/step.ts";
import { sendHoldSeconds } from "../fsm/timers.ts";
import type { DecodeContext } from "../wire/context.ts";
import { decodeMessage } from "../wire/decode.ts";
import { type Frame, FrameSplitter, wholeMessage } from "../wire/frame.ts";
import { messageType } from "../wire/header.ts";
import type { Message, OpenMessage, RouteRefreshMessage, UpdateMessage } from "../wire/message.ts";
import {
  cease,
  encodeNotification,
  errorCode,
  type NotificationBody,
} from "../wire/notification.ts";
import { encodeOpen, openSubcode } from "../wire/open.ts";
import { readPlainUpdate } from "../wire/plain-update.ts";
import { encodeKeepalive } from "../wire/route-refresh.ts";
import { DeadlineTimer } from "./deadline-timer.ts";
import type { MessageCounter } from "./message-counter.ts";
import type { TapPoint, TappedMessages } from "./message-tap.ts";
import { negotiate, withoutCapabilities } from "./negotiate.ts";
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

/** A queue of this many high-water marks ends the session: the speaker does not listen. */
const queueLimitFactor = 16;

const keepalive = encodeKeepalive();
const beforeOpen: DecodeContext = { fourOctetAs: false, external: false, families: [4, 6] };

/** One TCP connection after another and their FSM: turns callbacks into events, performs effects. */
export class Session {
  readonly #config: SessionConfig;
  readonly #deps: SessionDeps;
  readonly #timers: Readonly<Record<FsmTimer, DeadlineTimer>>;
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
    const timer = (name: FsmTimer) => new DeadlineTimer(deps.clock, () => this.#expired(name));
    this.#timers = {
      connectRetry: timer("connectRetry"),
      hold: timer("hold"),
      keepalive: timer("keepalive"),
      delayOpen: timer("delayOpen"),
      idleHold: timer("idleHold"),
      sendHold: timer("sendHold"),
    };
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
    for (const timer of Object.values(this.#timers)) timer.stop();
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
        this.#timers[effect.timer].start(this.#jittered(effect.timer, effect.seconds));
        break;
      case "stopTimer":
        this.#timers[effect.timer].stop();
        break;
      case "stopTimers":
        for (const [name, timer] of Object.entries(this.#timers)) {
          if (name !== "idleHold") timer.stop();
        }
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
    if (holdSeconds > 0 && !this.#hasHeard) this.#timers.hold.start(holdSeconds * 1000);
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

  #established(open: OpenMessage): void {
    const connection = this.#connection;
    const local = this.#localOpen;
    if (connection === undefined || local === undefined) return;
    const { peer } = this.#config;
    const { holdSeconds, keepaliveSeconds } = this.#fsm;
    const { localAddress, remoteAddress: peerAddress } = connection;
    const session = { holdSeconds, keepaliveSeconds, localAddress, peerAddress };
    const { localPort, remotePort } = connection;
    const hasPorts = localPort !== undefined && remotePort !== undefined;
    const negotiated = {
      ...negotiate({ local, remote: open }, session),
      offeredHoldSeconds: { local: local.holdSeconds, remote: open.holdSeconds },
      ...(hasPorts && { ports: { local: localPort, remote: remotePort } }),
    };
    this.#context = {
      fourOctetAs: negotiated.fourOctetAs,
      families: negotiated.families,
      external: peer.remoteAs !== peer.localAs,
      addPath: negotiated.addPath?.receive ?? [],
      extendedNextHop: negotiated.extendedNextHop === true,
    };
    if (negotiated.extendedMessages === true) this.#splitter.allowExtended();
    this.#deps.handlers.established(this, {
      ...negotiated,
      ...otherAddress(negotiated, connection),
    });
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

  /** SendHoldTimer (RFC 9687): runs while bytes wait, anew whenever TCP has taken some. */
  #watchQueue(): void {
    const seconds = sendHoldSeconds(this.#fsm.holdSeconds);
    const { sendHold } = this.#timers;
    if (seconds > 0 && !sendHold.isRunning && this.queuedBytes > 0) sendHold.start(seconds * 1000);
  }

  #progressed(): void {
    this.#timers.sendHold.pause();
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
        if (this.#timers.hold.isExpired) this.#dispatch({ kind: "timerExpired", timer });
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

  #jittered(timer: FsmTimer, seconds: number): number {
    const isExact = timer === "hold" || timer === "sendHold" || timer === "delayOpen";
    const share = isExact ? 1 : 0.75 + this.#deps.random() / 4;
    const { idleHoldSeconds = seconds } = this.#config.peer;
    const wanted = timer === "idleHold" ? Math.min(seconds, idleHoldSeconds) : seconds;
    return wanted * 1000 * share;
  }
}

/** Only where it is needed: the interfaces of a node with many pods are many. */
function otherAddress(
  { families, localAddress }: Negotiated,
  connection: Connection,
): Pick<Negotiated, "otherLocalAddress"> {
  if (families.every((family) => family === ipFamily(localAddress))) return {};
  const { otherLocalAddress } = connection;
  return otherLocalAddress === undefined ? {} : { otherLocalAddress };
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
