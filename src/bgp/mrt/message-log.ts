import { AppendFile } from "../../lib/append-file.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { aborted } from "../../lib/service.ts";
import type { Speaker } from "../speaker/speaker.ts";
import type { SpeakerHost } from "../speaker/speaker-host.ts";
import { MessageRecords } from "./message-records.ts";

export interface MessageLogDeps {
  readonly running: { readonly speaker: Speaker; readonly host: Pick<SpeakerHost, "watch"> };
  readonly clock: Clock;
  readonly log: Logger;
}

/** Appends every message of every session, and its changes of state, to an MRT file. */
export class MessageLog {
  readonly #deps: MessageLogDeps;
  readonly #records = new MessageRecords();
  #file: AppendFile | undefined;
  #untap: (() => void) | undefined;

  constructor(deps: MessageLogDeps) {
    this.#deps = deps;
  }

  /** Writes to `path` from now on; undefined: nowhere. The same path is opened anew. */
  configure(path: string | undefined): void {
    void this.#file?.close();
    this.#untap?.();
    this.#file = undefined;
    this.#untap = undefined;
    if (path === undefined) return;
    const { running, clock, log } = this.#deps;
    this.#file = new AppendFile({ path }, log);
    this.#untap = running.host.watch({
      messages: (messages) => this.#write(this.#records.ofMessages(messages, clock.date())),
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    const { running, clock } = this.#deps;
    const unwatch = running.host.watch({
      event: (event) => {
        if (event.kind !== "peer" || event.event.kind === "update") return;
        const { name } = "name" in event.event ? event.event : event.event.config;
        const config = running.speaker.peers.get(name)?.peer.config;
        this.#write(this.#records.ofEvent(event.event, config, clock.date()));
      },
    });
    await aborted(signal);
    unwatch();
    this.#untap?.();
    await this.#file?.close();
  }

  #write(records: readonly Uint8Array[]): void {
    for (const record of records) this.#file?.write(record);
  }
}
