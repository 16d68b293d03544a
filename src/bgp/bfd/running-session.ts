import { assertNever } from "../../lib/brand.ts";
import type { Clock } from "../../lib/clock.ts";
import { DeadlineTimer } from "../peer/deadline-timer.ts";
import type { BfdChange, BfdPathState, BfdSessionConfig } from "./bfd.ts";
import { type BfdPacket, diagnosticText, encodePacket } from "./packet.ts";
import {
  type BfdEffect,
  type BfdEvent,
  type BfdSession,
  type BfdTimers,
  newSession,
  peerDetectionMs,
  step,
} from "./session.ts";

/** What carries the packets of one session. */
export interface BfdPath {
  send(bytes: Uint8Array): void;
  close(): void;
}

export interface RunningSessionConfig {
  readonly key: string;
  readonly config: BfdSessionConfig;
  readonly discriminator: number;
  readonly timers: BfdTimers;
  readonly path: BfdPath;
}

export interface RunningSessionDeps {
  readonly clock: Clock;
  /** 0 to 1, for the jitter. */
  readonly random: () => number;
  /** Calls back when all datagrams that wait have been received. */
  readonly afterPendingReads: (callback: () => void) => void;
  readonly onChange: (change: BfdChange) => void;
  readonly onEnded: () => void;
}

/** One session with its timers and path: performs the effects. */
export class RunningSession {
  readonly config: BfdSessionConfig;
  readonly #key: string;
  readonly #path: BfdPath;
  readonly #deps: RunningSessionDeps;
  readonly #transmit: DeadlineTimer;
  readonly #detection: DeadlineTimer;
  readonly #ending: DeadlineTimer;
  #session: BfdSession;
  #heardMs: number;

  constructor(
    { key, config, discriminator, timers, path }: RunningSessionConfig,
    deps: RunningSessionDeps,
  ) {
    this.config = config;
    this.#key = key;
    this.#path = path;
    this.#deps = deps;
    this.#session = newSession(discriminator, timers);
    const { clock } = deps;
    this.#heardMs = clock.now();
    this.#transmit = new DeadlineTimer(clock, () => this.#dispatch({ kind: "transmitTimer" }));
    this.#detection = new DeadlineTimer(clock, () => this.#detectionExpired());
    this.#ending = new DeadlineTimer(clock, () => this.#end());
  }

  start(): void {
    this.#dispatch({ kind: "start" });
  }

  receive(packet: BfdPacket): void {
    this.#heardMs = this.#deps.clock.now();
    this.#dispatch({ kind: "received", packet });
  }

  /** Goes on with these timers; also when it was about to end. */
  enable(timers: BfdTimers): void {
    this.#ending.stop();
    this.#dispatch({ kind: "enabled" });
    this.#dispatch({ kind: "configured", timers });
  }

  /** Ends when the peer must have heard of it (RFC 5880 section 6.8.16). */
  disable(): void {
    if (this.#session.state === "AdminDown") return;
    this.#dispatch({ kind: "disabled" });
    this.#ending.start(peerDetectionMs(this.#session));
  }

  /** Ends at once, after a last word. */
  close(): void {
    this.#dispatch({ kind: "disabled" });
    this.#end();
  }

  #end(): void {
    for (const timer of [this.#transmit, this.#detection, this.#ending]) timer.stop();
    this.#path.close();
    this.#deps.onEnded();
  }

  #dispatch(event: BfdEvent): void {
    const [session, effects] = step(this.#session, event);
    this.#session = session;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: BfdEffect): void {
    switch (effect.kind) {
      case "send":
        this.#path.send(encodePacket(effect.packet));
        break;
      case "startTransmit": {
        const { leastMs, mostMs } = effect;
        this.#transmit.start(leastMs + this.#deps.random() * (mostMs - leastMs));
        break;
      }
      case "stopTransmit":
        this.#transmit.stop();
        break;
      case "startDetection":
        this.#detection.start(effect.ms);
        break;
      case "stopDetection":
        this.#detection.stop();
        break;
      case "changed":
        this.#changed(effect);
        break;
      default:
        assertNever(effect);
    }
  }

  /** This thread may have been kept from running, with the peer's packets waiting. */
  #detectionExpired(): void {
    this.#deps.afterPendingReads(() => {
      if (this.#detection.isExpired) this.#dispatch({ kind: "detectionTimer" });
    });
  }

  /** Who asked for the session hears only of Up, and of its end that it did not ask for. */
  #changed({ from, session }: Extract<BfdEffect, { kind: "changed" }>): void {
    const state = pathState(session);
    if (state === undefined || (state !== "up" && from !== "Up")) return;
    const silentMs = this.#deps.clock.now() - this.#heardMs;
    this.#deps.onChange({ key: this.#key, state, reason: reasonOf(session), silentMs });
  }
}

function pathState({ state, remote }: BfdSession): BfdPathState | undefined {
  if (state === "AdminDown") return undefined;
  if (state === "Up") return "up";
  return remote.state === "AdminDown" ? "disabled" : "down";
}

/** Of two diagnostics, the peer's tells what it saw. */
function reasonOf({ state, diagnostic, remote }: BfdSession): string {
  if (state === "Up") return "Up";
  const own = diagnosticText(diagnostic);
  return remote.diagnostic === 0 ? own : `${own} (peer: ${diagnosticText(remote.diagnostic)})`;
}
