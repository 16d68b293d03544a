import type { Logger } from "../../lib/log.ts";
import { decideCollision, preferredInitiator, type SpeakerIds } from "../fsm/collision.ts";
import type { CeaseReason } from "../fsm/events.ts";
import type { FsmState } from "../fsm/fsm.ts";
import { familyOf } from "../wire/family.ts";
import type { OpenMessage, RouteRefreshMessage, UpdateMessage } from "../wire/message.ts";
import { cease, encodeNotification, errorCode } from "../wire/notification.ts";
import type { Negotiated, PeerConfig, PeerEvent, PeerStatus } from "./peer.ts";
import { PeerRecord } from "./peer-record.ts";
import { Session } from "./session.ts";
import type { SessionConfig, SessionDeps } from "./session-handlers.ts";
import type { Connection, IncomingConnection } from "./transport.ts";

export interface PeerShellDeps extends Omit<SessionDeps, "handlers" | "received" | "sent"> {
  readonly log: Logger;
  readonly onEvent: (event: PeerEvent) => void;
  readonly closing: (closed: Promise<void>) => void;
  /** The last connection has ended without a session. */
  readonly idle: () => void;
}

/**
 * A second connection to an Established peer within this time is the other half of a collision, which
 * the peer has so long to decide; later it is a peer that has restarted (RFC 4724 section 5).
 */
const collisionWindowMs = 3000;

const order: readonly FsmState[] = [
  "Idle",
  "Active",
  "Connect",
  "OpenSent",
  "OpenConfirm",
  "Established",
];

const malformedTexts = {
  treatedAsWithdraw: "Malformed UPDATE treated as withdraw",
  attributeDiscard: "Malformed attribute discarded",
};

/**
 * One configured peer. It has a session that connects again and again, and for a while a second one:
 * for a connection that the peer opens while ours is on its way, until the collision is decided (RFC
 * 4271 section 6.8).
 */
export class PeerShell {
  readonly config: PeerConfig;
  readonly #sessionConfig: SessionConfig;
  readonly #deps: PeerShellDeps;
  readonly #record: PeerRecord;
  #main: Session;
  #second: Session | undefined;
  #cancelDecision: () => void = () => undefined;
  #hasWarned = false;
  #isStarted = false;
  #held: string | undefined;

  constructor(config: SessionConfig, deps: PeerShellDeps) {
    this.config = config.peer;
    this.#sessionConfig = config;
    this.#deps = deps;
    this.#record = new PeerRecord(deps.clock);
    this.#main = this.#newSession();
    const { shutdown } = config.peer;
    if (shutdown !== undefined) this.#held = shutdownText(shutdown.message);
  }

  get isEstablished(): boolean {
    return this.#record.isEstablished;
  }

  get isConnected(): boolean {
    return this.#main.isConnected || this.#second?.isConnected === true;
  }

  start(): void {
    this.#isStarted = true;
    if (this.#held === undefined) this.#main.start();
  }

  /** Keeps the peer Idle for this reason; undefined: not any more, unless it is shut down. */
  hold(reason: string | undefined): void {
    if (this.config.shutdown !== undefined || reason === this.#held) return;
    this.#held = reason;
    if (reason === undefined) {
      this.#main = this.#newSession(this.#main.failures);
      if (this.#isStarted) this.#main.start();
      return;
    }
    this.#deps.log.warn({ reason }, "Peer kept down");
    this.stop({ ceaseSubcode: cease.outOfResources });
    this.#record.failed(reason);
    this.#noteState();
  }

  /** Ends all connections with a Cease, or quietly. */
  stop(reason: CeaseReason, { quiet = false }: { readonly quiet?: boolean } = {}): void {
    for (const session of [this.#second, this.#main]) {
      session?.stop(reason, quiet);
      session?.dispose();
    }
    this.#second = undefined;
    this.#cancelDecision();
  }

  /** Ends an open session with a Cease; the next one follows by itself. */
  reset(reason: CeaseReason): void {
    for (const session of [this.#second, this.#main]) session?.reset(reason);
  }

  send(bytes: Uint8Array): boolean {
    return this.#main.send(bytes);
  }

  status(): PeerStatus {
    const { name, address } = this.config;
    const reason = this.#held ?? this.#record.lastFailure ?? this.#main.reason;
    return {
      name,
      address,
      ...this.#record.status({ reason, queuedBytes: this.#main.queuedBytes }),
    };
  }

  /** Takes a connection that the peer has opened. */
  accept(connection: IncomingConnection): void {
    const refusal = this.#refusal(connection);
    if (refusal !== undefined) {
      this.#deps.log.debug({ reason: refusal }, "Connection refused");
      connection.refuse();
      return;
    }
    if (this.#main.admitsPeer) this.#main.start({ passive: true });
    if (this.#main.state === "Idle") {
      this.#deps.log.debug({ reason: this.#record.lastFailure }, "Connection refused while idle");
      this.#deps.closing(rejectConnection(connection));
      return;
    }
    if (this.#main.state === "Established" && this.#isRestart()) this.#main.replaced();
    if (this.#main.isFree && this.#second === undefined) {
      this.#main.adopt(connection);
      return;
    }
    // The peer would not open another one if it still had the one before.
    this.#second?.dispose();
    this.#second = this.#newSession(this.#main.failures);
    this.#second.start({ passive: true });
    this.#second.adopt(connection);
  }

  /** Why a connection is closed without a word. */
  #refusal(connection: IncomingConnection): string | undefined {
    const { ttlSecurityHops, shutdown } = this.config;
    if (this.#held !== undefined && shutdown === undefined) return this.#held;
    if (ttlSecurityHops === undefined || connection.limitHops(ttlSecurityHops)) return undefined;
    const reason = `The peer is more than ${ttlSecurityHops} hops away`;
    if (!this.isEstablished) this.#record.failed(reason);
    return reason;
  }

  #isRestart(): boolean {
    const keepsRoutes = this.#main.open?.capabilities.some(
      (each) => each.kind === "gracefulRestart" && each.families.length > 0,
    );
    return keepsRoutes === true && !this.#isYoung();
  }

  #isYoung(): boolean {
    return this.#record.establishedForMs < collisionWindowMs;
  }

  #newSession(failures = 0): Session {
    const { name } = this.config;
    const { onEvent, closing } = this.#deps;
    const deps = {
      ...this.#deps,
      received: this.#record.received,
      sent: this.#record.sent,
      handlers: {
        transition: (session: Session, from: FsmState) => this.#transition(session, from),
        opened: (session: Session, open: OpenMessage) => this.#opened(session, open),
        // The peer has decided.
        confirmed: (session: Session) => this.#keep(session),
        established: (session: Session, negotiated: Negotiated) =>
          this.#established(session, negotiated),
        update: (_: Session, update: UpdateMessage) => this.#update(update),
        refresh: (_: Session, refresh: RouteRefreshMessage) => this.#refresh(refresh),
        down: (_: Session, reason: string, graceful: boolean) => {
          this.#record.down(reason);
          this.#noteState();
          onEvent({ kind: "down", name, reason, graceful });
        },
        drained: () => onEvent({ kind: "drained", name }),
        closing,
      },
    };
    return new Session(this.#sessionConfig, deps, failures);
  }

  #established(session: Session, negotiated: Negotiated): void {
    const other = this.#otherThan(session);
    if (other !== undefined && this.#peerMayPrefer(other, negotiated)) {
      [this.#main, this.#second] = [session, other];
      this.#awaitDecision();
    } else {
      this.#keepOnly(session);
    }
    this.#hasWarned = false;
    this.#record.established(negotiated);
    this.#noteState();
    this.#deps.onEvent({ kind: "established", name: this.config.name, negotiated });
  }

  #update(update: UpdateMessage): void {
    const { treatedAsWithdraw, discarded } = update;
    if (treatedAsWithdraw !== undefined) this.#malformed("treatedAsWithdraw", treatedAsWithdraw);
    else if (discarded !== undefined) this.#malformed("attributeDiscard", discarded);
    this.#deps.onEvent({ kind: "update", name: this.config.name, update });
  }

  /** Warns once a session: a peer must not be able to fill our log. */
  #malformed(handling: keyof typeof malformedTexts, reason: string): void {
    const level = this.#hasWarned ? "debug" : "warn";
    this.#hasWarned = true;
    const what = malformedTexts[handling];
    this.#deps.log[level]({ reason }, what);
    this.#record.malformed(handling, `${what}: ${reason}`);
  }

  /** A family that was not negotiated, and a subtype that is not known, are ignored (RFC 7313 section 4). */
  #refresh({ afi, safi, subtype }: RouteRefreshMessage): void {
    const { name } = this.config;
    const family = familyOf(afi, safi);
    if (family === undefined || !this.#record.negotiated?.families.includes(family)) return;
    const { onEvent } = this.#deps;
    if (subtype === 0) onEvent({ kind: "refreshRequested", name, family });
    else if (subtype === 1) onEvent({ kind: "refreshMarker", name, family, marker: "begin" });
    else if (subtype === 2) onEvent({ kind: "refreshMarker", name, family, marker: "end" });
  }

  #transition(session: Session, from: FsmState): void {
    const to = session.state;
    const level = from === "Established" || to === "Established" ? "info" : "debug";
    this.#deps.log[level]({ from, to, reason: session.reason }, "Session state changed");
    const isSecond = session === this.#second;
    const hasFailed = to === "Idle" || (to === "Active" && from !== "Idle" && session.isFree);
    if (hasFailed || (to === "Connect" && from === "Connect")) this.#record.failed(session.reason);
    const left = hasFailed ? this.#otherThan(session) : undefined;
    if (hasFailed && isSecond) this.#dropSecond();
    else if (left !== undefined) this.#keepOnly(left);
    this.#noteState();
    left?.resume();
    if (hasFailed && from !== "Established" && !this.isConnected) this.#deps.idle();
  }

  /** The peer's OPEN on one of two connections may decide between them. */
  #opened(newer: Session, open: OpenMessage): "answer" | "wait" | "close" {
    const older = this.#otherThan(newer);
    const verdict = older && decideCollision(older, newer, this.#ids(open));
    if (older === undefined || verdict === undefined) return "answer";
    this.#deps.log.debug({ verdict }, "Connection collision");
    if (verdict === "newer" || (older.state === "Established" && !this.#isYoung())) return "close";
    if (verdict === "older") {
      this.#keepOnly(newer);
      return "answer";
    }
    this.#awaitDecision();
    return "wait";
  }

  /** True when the peer may close our Established session in favour of `other`, whose OPEN it has. */
  #peerMayPrefer(other: Session, { peerRouterId, peerAs }: Negotiated): boolean {
    const ids = this.#ids({ routerId: peerRouterId, asn: peerAs });
    return other.state === "OpenSent" && other.initiator === preferredInitiator(ids);
  }

  #ids(peer: SpeakerIds["peer"]): SpeakerIds {
    const { localRouterId: routerId, localAs: asn } = this.config;
    return { local: { routerId, asn }, peer: { routerId: peer.routerId, asn: peer.asn } };
  }

  /** The peer closes one of the two soon; if not, we do. */
  #awaitDecision(): void {
    this.#cancelDecision();
    this.#cancelDecision = this.#deps.clock.setTimer(collisionWindowMs, () => {
      const both = [this.#main, this.#second];
      const kept =
        both.find((each) => each?.state === "Established") ?? both.find((each) => each?.isWaiting);
      if (kept !== undefined) this.#keep(kept);
    });
  }

  #otherThan(session: Session): Session | undefined {
    if (session === this.#main) return this.#second;
    return session === this.#second ? this.#main : undefined;
  }

  /** Decides a collision in favour of `session`. */
  #keep(session: Session): void {
    this.#keepOnly(session);
    session.resume();
  }

  /** Makes `session` the main one and ends the other. */
  #keepOnly(session: Session): void {
    const other = this.#otherThan(session);
    this.#main = session;
    this.#second = undefined;
    this.#cancelDecision();
    if (other === undefined) return;
    if (order.indexOf(other.state) >= order.indexOf("OpenSent")) other.collisionLost();
    other.dispose();
  }

  #dropSecond(): void {
    const second = this.#second;
    this.#second = undefined;
    this.#cancelDecision();
    second?.dispose();
  }

  #noteState(): void {
    const states = [this.#main, this.#second].map((session) => session?.state ?? "Idle");
    const state = order[Math.max(...states.map((each) => order.indexOf(each)))] ?? "Idle";
    this.#record.enter(state);
  }
}

function shutdownText(message: string): string {
  return message === "" ? "Administratively down" : `Administratively down: ${message}`;
}

/** Ends a connection that nobody wants with Cease/Connection Rejected (RFC 4486 section 4). */
export function rejectConnection(connection: Connection): Promise<void> {
  const data = new Uint8Array(0);
  const notification = { code: errorCode.cease, subcode: cease.connectionRejected, data };
  connection.write(encodeNotification(notification));
  return connection.close();
}
