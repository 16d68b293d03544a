import type { Clock } from "../../lib/clock.ts";
import type { FsmTimer } from "../fsm/events.ts";
import { sendHoldSeconds } from "../fsm/timers.ts";
import { DeadlineTimer } from "./deadline-timer.ts";

export interface SessionTimersConfig {
  readonly clock: Clock;
  /** 0 to 1, for the jitter (RFC 4271 section 10). */
  readonly random: () => number;
  /** Longest time in Idle after a failure. Absent: as the FSM says. */
  readonly idleHoldSeconds?: number | undefined;
  readonly expired: (timer: FsmTimer) => void;
}

/** The timers of one session (RFC 4271 section 8, RFC 9687). */
export class SessionTimers {
  readonly #config: SessionTimersConfig;
  readonly #timers: Readonly<Record<FsmTimer, DeadlineTimer>>;

  constructor(config: SessionTimersConfig) {
    this.#config = config;
    const timer = (name: FsmTimer) => new DeadlineTimer(config.clock, () => config.expired(name));
    this.#timers = {
      connectRetry: timer("connectRetry"),
      hold: timer("hold"),
      keepalive: timer("keepalive"),
      delayOpen: timer("delayOpen"),
      idleHold: timer("idleHold"),
      sendHold: timer("sendHold"),
    };
  }

  start(timer: FsmTimer, seconds: number): void {
    this.#timers[timer].start(this.#jittered(timer, seconds));
  }

  stop(timer: FsmTimer): void {
    this.#timers[timer].stop();
  }

  /** Those of a connection. */
  stopAllButIdleHold(): void {
    for (const [name, timer] of Object.entries(this.#timers)) {
      if (name !== "idleHold") timer.stop();
    }
  }

  stopAll(): void {
    for (const timer of Object.values(this.#timers)) timer.stop();
  }

  /** The hold timer has run out, and nobody has started it anew since. */
  get isHoldExpired(): boolean {
    return this.#timers.hold.isExpired;
  }

  /** SendHoldTimer (RFC 9687): runs while octets wait, anew whenever TCP has taken some. */
  watchQueue(holdSeconds: number, queuedBytes: number): void {
    const seconds = sendHoldSeconds(holdSeconds);
    const { sendHold } = this.#timers;
    if (seconds > 0 && !sendHold.isRunning && queuedBytes > 0) sendHold.start(seconds * 1000);
  }

  /** TCP has taken some: watchQueue() follows. */
  pauseSendHold(): void {
    this.#timers.sendHold.pause();
  }

  #jittered(timer: FsmTimer, seconds: number): number {
    const isExact = timer === "hold" || timer === "sendHold" || timer === "delayOpen";
    const share = isExact ? 1 : 0.75 + this.#config.random() / 4;
    const { idleHoldSeconds = seconds } = this.#config;
    const wanted = timer === "idleHold" ? Math.min(seconds, idleHoldSeconds) : seconds;
    return wanted * 1000 * share;
  }
}
