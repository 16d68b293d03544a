import type { Clock } from "../../lib/clock.ts";
import type { FsmState } from "../fsm/fsm.ts";
import { MessageCounter } from "./message-counter.ts";
import type { Negotiated, PeerStatus } from "./peer.ts";

/** What is remembered of a peer over all its sessions: its state, its errors, what it has sent. */
export class PeerRecord {
  readonly received: MessageCounter = new MessageCounter();
  readonly sent: MessageCounter = new MessageCounter();
  readonly #clock: Clock;
  #state: FsmState = "Idle";
  #since: Date;
  #negotiated: Negotiated | undefined;
  #establishedMs = 0;
  #establishedCount = 0;
  /** Why it is not Established, as far as an attempt has told. */
  #lastFailure: string | undefined;
  #lastError: string | undefined;
  #treatedAsWithdraw = 0;
  #attributeDiscard = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.date();
  }

  get isEstablished(): boolean {
    return this.#state === "Established";
  }

  get lastFailure(): string | undefined {
    return this.#lastFailure;
  }

  get negotiated(): Negotiated | undefined {
    return this.#negotiated;
  }

  /** Since the last session came to Established. */
  get establishedForMs(): number {
    return this.#clock.now() - this.#establishedMs;
  }

  enter(state: FsmState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#since = this.#clock.date();
    if (state === "Established") this.#lastFailure = undefined;
  }

  established(negotiated: Negotiated): void {
    this.#establishedMs = this.#clock.now();
    this.#establishedCount++;
    this.#negotiated = negotiated;
  }

  down(reason: string): void {
    this.#negotiated = undefined;
    this.failed(reason);
  }

  failed(reason: string): void {
    this.#lastFailure = reason;
    this.#lastError = reason;
  }

  /** A malformed UPDATE (RFC 7606 section 2) that did not end the session. */
  malformed(handling: "treatedAsWithdraw" | "attributeDiscard", text: string): void {
    if (handling === "treatedAsWithdraw") this.#treatedAsWithdraw++;
    else this.#attributeDiscard++;
    this.#lastError = text;
  }

  status({
    reason,
    queuedBytes,
  }: {
    readonly reason: string;
    readonly queuedBytes: number;
  }): Omit<PeerStatus, "name" | "address"> {
    return {
      state: this.#state,
      since: this.#since.toISOString(),
      reason: this.isEstablished ? "Established" : reason,
      ...(this.#lastError !== undefined && { lastError: this.#lastError }),
      ...(this.#negotiated !== undefined && { negotiated: this.#negotiated }),
      counters: {
        received: this.received.counts,
        sent: this.sent.counts,
        established: this.#establishedCount,
        queuedBytes,
        treatedAsWithdraw: this.#treatedAsWithdraw,
        attributeDiscard: this.#attributeDiscard,
      },
    };
  }
}
