import type { PeerBytes } from "../rib/update-group.ts";
import type { SpeakerEffect, SpeakerTimer } from "./events.ts";

const none: readonly never[] = [];

/** What a speaker asks of the world while it handles one event. */
export class EffectQueue {
  #effects: SpeakerEffect[] = [];

  push(effect: SpeakerEffect): void {
    this.#effects.push(effect);
  }

  send(bytes: readonly PeerBytes[]): void {
    for (const each of bytes) this.#effects.push({ kind: "send", ...each });
  }

  startTimer(timer: SpeakerTimer, seconds: number): void {
    this.#effects.push({ kind: "startTimer", timer, seconds });
  }

  stopTimer(timer: SpeakerTimer): void {
    this.#effects.push({ kind: "stopTimer", timer });
  }

  take(): readonly SpeakerEffect[] {
    const effects = this.#effects;
    if (effects.length === 0) return none;
    this.#effects = [];
    return effects;
  }
}
