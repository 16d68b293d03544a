import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { aborted } from "../../lib/service.ts";
import type { Speaker } from "../speaker/speaker.ts";
import type { SpeakerHost } from "../speaker/speaker-host.ts";
import { Collector, type CollectorAddress } from "./collector.ts";
import { BmpFeed } from "./feed.ts";
import { encodeInitiation, encodeTermination } from "./message.ts";

export interface BmpExporterDeps {
  readonly running: { readonly speaker: Speaker; readonly host: Pick<SpeakerHost, "watch"> };
  readonly clock: Clock;
  readonly log: Logger;
  /** Default 60 s. */
  readonly statisticsMs?: number;
  readonly maxQueuedBytes?: number;
}

interface Running {
  readonly collector: Collector;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

/** Tells collectors what the speaker hears (RFC 7854). They may change while it runs. */
export class BmpExporter {
  readonly #deps: BmpExporterDeps;
  readonly #feed: BmpFeed;
  readonly #running = new Map<string, Running>();
  /** Collectors that are let go, until they have. */
  readonly #ending = new Set<Promise<void>>();
  #untap: (() => void) | undefined;

  constructor(deps: BmpExporterDeps) {
    const { running, clock } = deps;
    this.#deps = deps;
    this.#feed = new BmpFeed(running.speaker, clock);
  }

  /** From now on these, exactly. A collector that stays is not interrupted. */
  configure(collectors: readonly CollectorAddress[]): void {
    const wanted = new Map(collectors.map((to) => [`${to.address} ${to.port}`, to]));
    for (const [key, running] of this.#running) {
      if (wanted.has(key)) continue;
      running.stop.abort();
      this.#running.delete(key);
      this.#ending.add(running.ended);
      void running.ended.finally(() => this.#ending.delete(running.ended));
    }
    for (const [key, to] of wanted) {
      if (!this.#running.has(key)) this.#running.set(key, this.#start(to));
    }
    this.#untap?.();
    const { host } = this.#deps.running;
    this.#untap = wanted.size === 0 ? undefined : host.watch({ messages: this.#feed.tap });
  }

  /** Number of collectors that are told. */
  get connected(): number {
    let connected = 0;
    for (const { collector } of this.#running.values()) connected += Number(collector.isConnected);
    return connected;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { running, clock, statisticsMs = 60_000 } = this.#deps;
    const unwatch = running.host.watch({
      event: (event) => this.#tell(this.#feed.messagesOf(event, this.connected > 0)),
    });
    let cancel: (() => void) | undefined;
    const reportLater = () => {
      cancel = clock.setTimer(statisticsMs, () => {
        if (this.connected > 0) this.#tell(this.#feed.statistics());
        reportLater();
      });
    };
    reportLater();
    await aborted(signal);
    cancel?.();
    unwatch();
    this.configure([]);
    await Promise.all(this.#ending);
  }

  #start(to: CollectorAddress): Running {
    const { clock, log, running, maxQueuedBytes } = this.#deps;
    const collector = new Collector(to, {
      clock,
      log,
      greeting: () => [
        encodeInitiation({
          name: running.speaker.config?.nodeName ?? "",
          description: "tortie",
        }),
        ...this.#feed.peersUp(),
      ],
      table: () => this.#feed.routes(),
      farewell: () => encodeTermination("The speaker ends"),
      ...(maxQueuedBytes !== undefined && { maxQueuedBytes }),
    });
    const stop = new AbortController();
    return { collector, stop, ended: collector.run(stop.signal) };
  }

  #tell(messages: readonly Uint8Array[]): void {
    if (messages.length === 0) return;
    for (const { collector } of this.#running.values()) collector.tell(messages);
  }
}
