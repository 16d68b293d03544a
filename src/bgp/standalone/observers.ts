import { resolve } from "node:path";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { runServices } from "../../lib/service.ts";
import { BmpExporter } from "../bmp/bmp-exporter.ts";
import { MessageLog } from "../mrt/message-log.ts";
import type { RunningSpeaker } from "../speaker/run-speaker.ts";
import type { SpeakerFile } from "./speaker-file.ts";

/** Those who look on, as the speaker's file says: BMP collectors and an MRT file of messages. */
export class Observers {
  readonly #bmp: BmpExporter;
  readonly #messages: MessageLog;

  constructor(deps: {
    readonly running: RunningSpeaker;
    readonly clock: Clock;
    readonly log: Logger;
  }) {
    this.#bmp = new BmpExporter(deps);
    this.#messages = new MessageLog(deps);
  }

  /** `folder`: from where relative names count. */
  configure({ bmp = [], mrt }: SpeakerFile, folder: string): void {
    this.#bmp.configure(bmp);
    const name = mrt?.messages;
    this.#messages.configure(name === undefined ? undefined : resolve(folder, name));
  }

  async run(signal: AbortSignal): Promise<void> {
    const services = [this.#bmp, this.#messages];
    await runServices(
      services.map((each) => (stop: AbortSignal) => each.run(stop)),
      signal,
    );
  }
}
