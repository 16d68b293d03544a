import { AppendFile } from "../../lib/append-file.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { SpeakerEvent } from "../speaker/events.ts";
import type { SpeakerHost } from "../speaker/speaker-host.ts";
import { toJson } from "./event-json.ts";

/**
 * A recorded run: every event of a speaker, in their order, as lines of JSON behind a first line that
 * says what it is. As a speaker is a function of its events, it replays to the same RIBs (replay.ts). No
 * secret is in it, but addresses and routes are.
 *
 *   {"recorded": "tortie bgp", "version": 1, "at": "2026-01-01T00:00:00.000Z"}
 *   {"ms": 12, "event": {"kind": "configured", ...}}
 */
export interface RecordHeading {
  readonly recorded: "tortie bgp";
  readonly version: 1;
  /** ISO time. */
  readonly at: string;
}

export interface RecordLine {
  /** Since the heading. */
  readonly ms: number;
  readonly event: SpeakerEvent;
}

export interface RecordConfig {
  /** What is there already goes. */
  readonly path: string;
  /** A recording ends at this many octets. Default 1 GiB. */
  readonly maxBytes?: number;
}

export interface RecordDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

const defaultMaxBytes = 1024 ** 3;

/** Writes down a run. What cannot be written ends the recording, never the speaker. */
export class Recording {
  readonly #deps: RecordDeps;
  readonly #file: AppendFile;
  readonly #started: Millis;
  #left: number;
  #unwatch: (() => void) | undefined;

  constructor({ path, maxBytes = defaultMaxBytes }: RecordConfig, deps: RecordDeps) {
    this.#deps = deps;
    this.#file = new AppendFile({ path, isNew: true }, deps.log);
    this.#started = deps.clock.now();
    this.#left = maxBytes;
    const at = deps.clock.date().toISOString();
    this.#write({ recorded: "tortie bgp", version: 1, at } satisfies RecordHeading);
  }

  /** To be called before the host has its first event. */
  watch(host: Pick<SpeakerHost, "watch">): void {
    this.#unwatch = host.watch({ event: (event) => this.#event(event) });
  }

  async close(): Promise<void> {
    this.#unwatch?.();
    await this.#file.close();
  }

  #event(event: SpeakerEvent): void {
    const { clock, log } = this.#deps;
    const ms = Math.round(clock.now() - this.#started);
    if (this.#write({ ms, event } satisfies RecordLine)) return;
    this.#unwatch?.();
    const { path } = this.#file;
    log.warn({ path }, this.#left < 0 ? "Recording has reached its limit" : "Recording has failed");
  }

  #write(value: unknown): boolean {
    const line = `${toJson(value)}\n`;
    this.#left -= Buffer.byteLength(line);
    return this.#left >= 0 && this.#file.write(line);
  }
}
