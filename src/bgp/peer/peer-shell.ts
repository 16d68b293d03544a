import type { Logger } from "../../lib/log.ts";
import { collisionLoser } from "../fsm/collision.ts";
import type { FsmState } from "../fsm/fsm.ts";
import { familyOf } from "../wire/family.ts";
import type { UpdateMessage } from "../wire/message.ts";
import { cease, encodeNotification, errorCode } from "../wire/notification.ts";
import type { PeerConfig, PeerEvent, PeerStatus } from "./peer.ts";
import { Session, type SessionConfig, type SessionDeps } from "./session.ts";
import type { Connection, IncomingConnection } from "./transport.ts";

export interface PeerShellDeps extends Omit<SessionDeps, "handlers"> {
  readonly log: Logger;
  readonly onEvent: (event: PeerEvent) => void;
  readonly closing: (closed: Promise<void>) => void;
}

/**
 * A second connection to an Established peer within this time is the other half of a collision;
 * later it is a peer that has restarted (RFC 4724 section 5).
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

/**
 * One configured peer. It has a session that connects again and again, and for a while a second one:
 * for a connection that the peer opens while ours is on its way, until the collision is decided (RFC
 * 4271 section 6.8).
 */
export class PeerShell {
  readonly config: PeerConfig;
  readonly #sessionConfig: SessionConfig;
  readonly #deps: PeerShellDeps;
  #main: Session;
  #second: Session | undefined;
  #state: FsmState = "Idle";
  #since: Date;
  #establishedMs = 0;
  #lastFailure: string | undefined;
  #hasWarned = false;
  #isStarted = false;
  #held: string | undefined;

  constructor(config: SessionConfig, deps: PeerShellDeps) {
    this.config = config.peer;
    this.#sessionConfig = config;
    this.#deps = deps;
    this.#since = deps.clock.date();
    this.#main = this.#newSession();
  }

  start(): void {
    this.#isStarted = true;
    if (this.#held === undefined) this.#main.start();
  }

  /** Keeps the peer Idle for this reason; undefined: not any more. */
  hold(reason: string | undefined): void {
    if (reason === this.#held) return;
    this.#held = reason;
    if (reason === undefined) {
      this.#main = this.#newSession();
      if (this.#isStarted) this.#main.start();
      return;
    }
    this.#deps.log.warn({ reason }, "Peer kept down");
    this.stop(cease.outOfResources, false);
    this.#lastFailure = reason;
    this.#noteState();
  }

  /** Ends all connections with a Cease, or quietly. The shell is of no use afterwards. */
  stop(ceaseSubcode: number, quiet: boolean): void {
    for (const session of [this.#second, this.#main]) {
      session?.stop(ceaseSubcode, quiet);
      session?.dispose();
    }
    this.#second = undefined;
  }

  send(bytes: Uint8Array): boolean {
    return this.#main.send(bytes);
  }

  status(): PeerStatus {
    const { name, address } = this.config;
    const reason =
      this.#state === "Established" ? "Established" : (this.#lastFailure ?? this.#main.reason);
    return { name, address, state: this.#state, since: this.#since.toISOString(), reason };
  }

  /** Takes a connection that the peer has opened. */
  accept(connection: IncomingConnection): void {
    const { ttlSecurityHops } = this.config;
    const refusal =
      this.#held ??
      (ttlSecurityHops === undefined || connection.limitHops(ttlSecurityHops)
        ? undefined
        : `The peer is more than ${ttlSecurityHops} hops away`);
    if (refusal !== undefined) {
      this.#deps.log.debug({ reason: refusal }, "Connection refused");
      this.#lastFailure = refusal;
      connection.refuse();
      return;
    }
    if (this.#main.state === "Idle") {
      this.#deps.log.debug({ reason: this.#lastFailure }, "Connection refused while idle");
      this.#deps.closing(rejectConnection(connection));
      return;
    }
    if (this.#main.state === "Established" && this.#isRestart()) this.#main.replaced();
    if (this.#main.state === "Active" && this.#second === undefined) {
      this.#main.adopt(connection);
      return;
    }
    // The peer would not open another one if it still had the one before.
    this.#second?.dispose();
    this.#second = this.#newSession();
    this.#second.start({ passive: true });
    this.#second.adopt(connection);
  }

  #isRestart(): boolean {
    const keepsRoutes = this.#main.open?.capabilities.some(
      ({ kind }) => kind === "gracefulRestart",
    );
    const ageMs = this.#deps.clock.now() - this.#establishedMs;
    return keepsRoutes === true && ageMs >= collisionWindowMs;
  }

  #newSession(): Session {
    const { name } = this.config;
    const { onEvent, closing } = this.#deps;
    return new Session(this.#sessionConfig, {
      ...this.#deps,
      handlers: {
        transition: (session, from) => this.#transition(session, from),
        established: (session, negotiated) => {
          this.#hasWarned = false;
          this.#establishedMs = this.#deps.clock.now();
          this.#keepOnly(session);
          this.#noteState();
          onEvent({ kind: "established", name, negotiated });
        },
        update: (_session, update) => this.#update(update),
        refresh: (_session, { afi, safi }) => {
          const family = familyOf(afi, safi);
          if (family !== undefined) onEvent({ kind: "refreshRequested", name, family });
        },
        down: (_session, reason, graceful) => {
          this.#lastFailure = reason;
          this.#noteState();
          onEvent({ kind: "down", name, reason, graceful });
        },
        drained: () => onEvent({ kind: "drained", name }),
        closing,
      },
    });
  }

  #update(update: UpdateMessage): void {
    const { treatedAsWithdraw } = update;
    if (treatedAsWithdraw !== undefined) {
      // Once a session: a peer must not be able to fill our log.
      const level = this.#hasWarned ? "debug" : "warn";
      this.#hasWarned = true;
      this.#deps.log[level]({ reason: treatedAsWithdraw }, "Malformed UPDATE treated as withdraw");
    }
    this.#deps.onEvent({ kind: "update", name: this.config.name, update });
  }

  #transition(session: Session, from: FsmState): void {
    const to = session.state;
    const level = from === "Established" || to === "Established" ? "info" : "debug";
    this.#deps.log[level]({ from, to, reason: session.reason }, "Session state changed");
    const hasFailed = to === "Idle" || (to === "Active" && from !== "Idle");
    if (hasFailed) this.#lastFailure = session.reason;
    if (to === "OpenConfirm") this.#decideCollision(session);
    if (hasFailed && session === this.#second) this.#dropSecond();
    else if (hasFailed && this.#second !== undefined) this.#keepOnly(this.#second);
    this.#noteState();
  }

  #decideCollision(newer: Session): void {
    const older = newer === this.#main ? this.#second : this.#main;
    const { open } = newer;
    if (older === undefined || open === undefined) return;
    const { localRouterId: routerId, localAs: asn } = this.config;
    const peer = { routerId: open.routerId, asn: open.asn };
    const loser = collisionLoser(older, newer, { local: { routerId, asn }, peer });
    if (loser === undefined) return;
    this.#deps.log.debug({ loser }, "Connection collision decided");
    (loser === "older" ? older : newer).collisionLost();
  }

  /** Makes `session` the main one and ends the other. */
  #keepOnly(session: Session): void {
    const other = session === this.#main ? this.#second : this.#main;
    this.#main = session;
    this.#second = undefined;
    if (other === undefined || other === session) return;
    if (other.state === "OpenSent" || other.state === "OpenConfirm") other.collisionLost();
    other.dispose();
  }

  #dropSecond(): void {
    const second = this.#second;
    this.#second = undefined;
    second?.dispose();
  }

  #noteState(): void {
    const states = [this.#main, this.#second].map((session) => session?.state ?? "Idle");
    const state = order[Math.max(...states.map((each) => order.indexOf(each)))] ?? "Idle";
    if (state === this.#state) return;
    this.#state = state;
    this.#since = this.#deps.clock.date();
    if (state === "Established") this.#lastFailure = undefined;
  }
}

/** Ends a connection that nobody wants with Cease/Connection Rejected (RFC 4486 section 4). */
export function rejectConnection(connection: Connection): Promise<void> {
  const data = new Uint8Array(0);
  const notification = { code: errorCode.cease, subcode: cease.connectionRejected, data };
  connection.write(encodeNotification(notification));
  return connection.close();
}
