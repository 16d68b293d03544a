import { assertNever } from "../../lib/brand.ts";
import { type BfdPacket, type BfdState, diagnostic } from "./packet.ts";

/**
 * The state machine of one BFD session (RFC 5880 section 6.8) in asynchronous mode, active role.
 * Pure: the shell performs the effects, in order. No Echo function, no authentication, and never
 * Demand mode of our own; a peer in Demand mode is obeyed.
 *
 * Differs from RFC 5880 section 6.8.3: a change of parameters outside Up starts no Poll Sequence. It
 * counts at once, and no peer measures by it before the handshake has told of it.
 */

/** What is configured, in microseconds. */
export interface BfdTimers {
  readonly minTxUs: number;
  readonly minRxUs: number;
  readonly multiplier: number;
}

/** What the peer's last packet said: bfd.Remote... of section 6.8.1. */
interface Remote {
  readonly discriminator: number;
  readonly state: BfdState;
  readonly diagnostic: number;
  readonly minRxUs: number;
  readonly minTxUs: number;
  readonly multiplier: number;
  readonly demand: boolean;
}

export interface BfdSession {
  readonly localDiscriminator: number;
  readonly timers: BfdTimers;
  readonly state: BfdState;
  readonly diagnostic: number;
  readonly remote: Remote;
  /**
   * The intervals in force. While a Poll Sequence runs they are the safe ones of old and new: we
   * send no slower, and wait no shorter, than before (section 6.8.3).
   */
  readonly txUs: number;
  readonly rxUs: number;
  /** "again": parameters changed once more meanwhile, so that the next Final is not for all. */
  readonly poll: "none" | "running" | "again";
}

export type BfdEvent =
  | { readonly kind: "start" }
  /** A packet that decodePacket() gave and that belongs to this session. */
  | { readonly kind: "received"; readonly packet: BfdPacket }
  | { readonly kind: "transmitTimer" }
  | { readonly kind: "detectionTimer" }
  | { readonly kind: "configured"; readonly timers: BfdTimers }
  /** Administrative control of section 6.8.16. */
  | { readonly kind: "disabled" }
  | { readonly kind: "enabled" };

export type BfdEffect =
  | { readonly kind: "send"; readonly packet: BfdPacket }
  /** Starts the timer anew; the jitter is drawn between both. */
  | { readonly kind: "startTransmit"; readonly leastMs: number; readonly mostMs: number }
  | { readonly kind: "stopTransmit" }
  /** Starts the timer anew. */
  | { readonly kind: "startDetection"; readonly ms: number }
  | { readonly kind: "stopDetection" }
  | { readonly kind: "changed"; readonly from: BfdState; readonly session: BfdSession };

export type BfdStep = readonly [session: BfdSession, effects: readonly BfdEffect[]];

/** Outside Up nobody sends faster (section 6.8.3). */
export const slowUs = 1_000_000;

/** Section 6.8.1; minRxUs 1 lets us send before the peer has said anything. */
const unknownRemote: Remote = {
  discriminator: 0,
  state: "Down",
  diagnostic: 0,
  minRxUs: 1,
  minTxUs: 0,
  multiplier: 0,
  demand: false,
};

export function newSession(localDiscriminator: number, timers: BfdTimers): BfdSession {
  const session = { localDiscriminator, timers, diagnostic: 0, remote: unknownRemote } as const;
  return inForce({ ...session, state: "Down", txUs: 0, rxUs: 0, poll: "none" });
}

/** One event; pure. */
export function step(session: BfdSession, event: BfdEvent): BfdStep {
  switch (event.kind) {
    case "start":
      return [session, transmit(session)];
    case "received":
      return received(session, event.packet);
    case "transmitTimer":
      return [session, transmit(session)];
    case "detectionTimer":
      return detectionExpired(session);
    case "configured":
      return configured(session, event.timers);
    case "disabled":
      return moved(session, enter(session, "AdminDown", diagnostic.administrativelyDown));
    case "enabled":
      if (session.state !== "AdminDown") return [session, []];
      return moved(session, enter(session, "Down", diagnostic.none));
    default:
      return assertNever(event);
  }
}

/** Section 6.8.4: so long without a packet, and the path counts as broken. 0: nothing is known. */
export function detectionMs({ remote, rxUs }: BfdSession): number {
  return (remote.multiplier * Math.max(rxUs, remote.minTxUs)) / 1000;
}

/** Detection Time of the peer: so long without a packet of ours, and it gives us up. */
export function peerDetectionMs({ remote, timers, txUs }: BfdSession): number {
  return (timers.multiplier * Math.max(txUs, remote.minRxUs)) / 1000;
}

/** Section 6.8.6, from where the session is known. */
function received(before: BfdSession, packet: BfdPacket): BfdStep {
  const remote: Remote = {
    discriminator: packet.myDiscriminator,
    state: packet.state,
    diagnostic: packet.diagnostic,
    minRxUs: packet.requiredMinRxUs,
    minTxUs: packet.desiredMinTxUs,
    multiplier: packet.detectMultiplier,
    demand: packet.demand,
  };
  const heard = packet.final ? polled({ ...before, remote }) : { ...before, remote };
  if (heard.state === "AdminDown") return [heard, []];
  const next = answered(heard);
  const detection: BfdEffect = { kind: "startDetection", ms: detectionMs(next) };
  if (packet.poll) {
    const answer = [send(next, "final"), ...changed(before, next)];
    return [next, [detection, ...answer, ...retimed(before, next)]];
  }
  const [session, effects] = moved(before, next);
  return [session, [detection, ...effects]];
}

/** The transition of section 6.2 that the peer's state causes. */
function answered(session: BfdSession): BfdSession {
  const { state, remote } = session;
  switch (remote.state) {
    case "AdminDown":
      return state === "Down" ? session : enter(session, "Down", diagnostic.neighborDown);
    case "Down":
      if (state === "Down") return enter(session, "Init", diagnostic.none);
      return state === "Up" ? enter(session, "Down", diagnostic.neighborDown) : session;
    case "Init":
      return state === "Up" ? session : enter(session, "Up", diagnostic.none);
    case "Up":
      return state === "Init" ? enter(session, "Up", diagnostic.none) : session;
    default:
      return assertNever(remote.state);
  }
}

/** Sections 6.8.1 and 6.8.18: what the peer has said is forgotten. */
function detectionExpired(before: BfdSession): BfdStep {
  const forgotten = { ...before, remote: unknownRemote };
  const stop: BfdEffect = { kind: "stopDetection" };
  const isLost = before.state === "Init" || before.state === "Up";
  const next = isLost
    ? enter(forgotten, "Down", diagnostic.detectionTimeExpired)
    : inForce(forgotten);
  const [session, effects] = moved(before, next);
  return [session, [stop, ...effects]];
}

function configured(before: BfdSession, timers: BfdTimers): BfdStep {
  const changed = { ...before, timers };
  const isSame =
    desiredTxUs(before) === desiredTxUs(changed) && before.timers.minRxUs === timers.minRxUs;
  if (isSame) return moved(before, changed);
  if (before.state !== "Up") return [inForce(changed), transmit(inForce(changed))];
  const next: BfdSession = {
    ...changed,
    txUs: Math.min(before.txUs, timers.minTxUs),
    rxUs: Math.max(before.rxUs, timers.minRxUs),
    poll: before.poll === "none" ? "running" : "again",
  };
  return [next, transmit(next)];
}

/** The peer has answered a Poll: it knows our parameters, so they count from now on. */
function polled(session: BfdSession): BfdSession {
  if (session.poll === "again") return { ...session, poll: "running" };
  return session.poll === "none" ? session : inForce(session);
}

/** Reaching Up, the faster interval is told by a Poll Sequence; leaving it, any Poll is over. */
function enter(session: BfdSession, state: BfdState, code: number): BfdSession {
  const next = inForce({ ...session, state, diagnostic: code });
  const isTold = desiredTxUs(session) === desiredTxUs(next);
  return state === "Up" && !isTold ? { ...next, poll: "running" } : next;
}

/** What is configured counts, without a Poll Sequence. */
function inForce(session: BfdSession): BfdSession {
  const { minRxUs } = session.timers;
  return { ...session, txUs: desiredTxUs(session), rxUs: minRxUs, poll: "none" };
}

/** bfd.DesiredMinTxInterval. */
function desiredTxUs({ state, timers }: BfdSession): number {
  return state === "Up" ? timers.minTxUs : Math.max(timers.minTxUs, slowUs);
}

/** A changed state is told at once (section 6.8.7); a changed interval starts the timer anew. */
function moved(before: BfdSession, next: BfdSession): BfdStep {
  if (before.state === next.state) return [next, retimed(before, next)];
  return [next, [...changed(before, next), ...transmit(next)]];
}

function changed(before: BfdSession, next: BfdSession): readonly BfdEffect[] {
  if (before.state === next.state) return [];
  return [{ kind: "changed", from: before.state, session: next }];
}

function transmit(session: BfdSession): readonly BfdEffect[] {
  return maySend(session)
    ? [send(session, "periodic"), schedule(session)]
    : [{ kind: "stopTransmit" }];
}

function retimed(before: BfdSession, next: BfdSession): readonly BfdEffect[] {
  const schedules = [before, next].map(schedule);
  const isSame = JSON.stringify(schedules[0]) === JSON.stringify(schedules[1]);
  return isSame ? [] : [schedule(next)];
}

/** Section 6.8.7: whether packets go out by the timer. */
function maySend({ state, remote, poll }: BfdSession): boolean {
  const isDemanded = remote.demand && state === "Up" && remote.state === "Up";
  return remote.minRxUs > 0 && (!isDemanded || poll !== "none");
}

/** Section 6.8.7: up to 25 % less than the interval; with a multiplier of 1, at least 10 % less. */
function schedule(session: BfdSession): BfdEffect {
  if (!maySend(session)) return { kind: "stopTransmit" };
  const ms = Math.max(session.txUs, session.remote.minRxUs) / 1000;
  const most = session.timers.multiplier === 1 ? 0.9 : 1;
  return { kind: "startTransmit", leastMs: ms * 0.75, mostMs: ms * most };
}

function send(session: BfdSession, occasion: "periodic" | "final"): BfdEffect {
  const final = occasion === "final";
  const packet: BfdPacket = {
    diagnostic: session.diagnostic,
    state: session.state,
    poll: !final && session.poll !== "none",
    final,
    controlPlaneIndependent: false,
    demand: false,
    detectMultiplier: session.timers.multiplier,
    myDiscriminator: session.localDiscriminator,
    yourDiscriminator: session.remote.discriminator,
    desiredMinTxUs: desiredTxUs(session),
    requiredMinRxUs: session.timers.minRxUs,
    requiredMinEchoRxUs: 0,
  };
  return { kind: "send", packet };
}
