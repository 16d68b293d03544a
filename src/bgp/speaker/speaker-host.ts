import { assertNever } from "../../lib/brand.ts";
import type { Clock } from "../../lib/clock.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import { inOwnRound } from "../../lib/rounds.ts";
import type { BfdStatus } from "../bfd/bfd.ts";
import { BfdPeers } from "../bfd/bfd-peers.ts";
import { createBfd, type RunningBfd } from "../bfd/bfd-service.ts";
import type { FibSync } from "../fib/fib-sync.ts";
import type { MessageTap, TapPoint } from "../peer/message-tap.ts";
import type { PeerConfig, PeerEvent, PeerStatus } from "../peer/peer.ts";
import { createPeers, type RunningPeers } from "../peer/peers-service.ts";
import type { SpeakerEffect, SpeakerEvent, SpeakerTimer } from "./events.ts";
import type { LimitReport } from "./prefix-limits.ts";
import type { Speaker } from "./speaker.ts";

/** Longest rest between two flushes: routes that arrive meanwhile are one batch to peers and kernel. */
const maxRestMs = 10;

export interface SpeakerHostDeps {
  readonly fib: Pick<FibSync, "size" | "setRoutes" | "converged">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Looks on, and must be quick. It is called before what it is told of has an effect. */
export interface SpeakerWatcher {
  readonly event?: (event: SpeakerEvent) => void;
  readonly messages?: MessageTap;
}

/** The shell around a speaker: gives it events one at a time and does what it asks. */
export class SpeakerHost {
  readonly #speaker: Speaker;
  readonly #deps: SpeakerHostDeps;
  readonly #queue: SpeakerEvent[] = [];
  readonly #timers = new Map<SpeakerTimer, () => void>();
  readonly #bfd: RunningBfd;
  readonly #bfdPeers: BfdPeers;
  readonly #watchers = new Set<SpeakerWatcher>();
  #eventWatchers: readonly NonNullable<SpeakerWatcher["event"]>[] = [];
  readonly #tapPoint: TapPoint = { tap: undefined };
  #isBusy = false;
  #restUntilMs = 0;
  /** What the flushes since the last rest took. */
  #flushedMs = 0;
  #peers: { readonly running: RunningPeers; readonly port: number; stop(): void } | undefined;
  /** Peers that have ended or are ending: their ports are free when this settles. */
  #ended: Promise<void> = Promise.resolve();
  #wanted: readonly PeerConfig[] = [];
  /** Peers that somebody has taken down, with the words for them; they outlive a new configuration. */
  readonly #shutdowns = new Map<string, string>();

  constructor(speaker: Speaker, deps: SpeakerHostDeps) {
    this.#speaker = speaker;
    this.#deps = deps;
    this.#bfd = createBfd(deps);
    this.#bfdPeers = new BfdPeers(this.#bfd, (name, subcode, message) =>
      this.#peers?.running.reset(name, subcode, message),
    );
  }

  /** May be called from within an effect: events are handled in order, one at a time. */
  post(event: SpeakerEvent): void {
    if (this.#isBusy) {
      this.#queue.push(event);
      return;
    }
    this.#isBusy = true;
    try {
      this.#handle(event);
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        this.#handle(next);
      }
    } finally {
      this.#isBusy = false;
    }
  }

  #handle(event: SpeakerEvent): void {
    const watchers = this.#eventWatchers;
    for (let i = 0; i < watchers.length; i++) watchers[i]?.(event);
    const effects = this.#speaker.handle(event);
    for (let i = 0; i < effects.length; i++) this.#perform(effects[i] as SpeakerEffect);
  }

  /** From now on `watcher` sees every event and message. Gives what ends that. */
  watch(watcher: SpeakerWatcher): () => void {
    this.#watchers.add(watcher);
    this.#setWatchers();
    return () => {
      this.#watchers.delete(watcher);
      this.#setWatchers();
    };
  }

  /** Only when somebody wants messages are they shown. */
  #setWatchers(): void {
    this.#eventWatchers = [...this.#watchers].flatMap(({ event }) => event ?? []);
    const taps = [...this.#watchers].flatMap(({ messages }) => messages ?? []);
    const tapAll: MessageTap = (seen) => {
      for (const tap of taps) tap(seen);
    };
    this.#tapPoint.tap = taps.length === 0 ? undefined : tapAll;
  }

  status(): readonly PeerStatus[] {
    return this.#peers?.running.status() ?? [];
  }

  /** Whole messages for one peer; dropped when it is not Established. */
  send(name: string, bytes: Uint8Array): void {
    if (this.#peers?.running.send(name, bytes) === false) this.post({ kind: "blocked", name });
  }

  /** Takes a configured peer down with these words for it, until they are undefined: then it starts. */
  setShutdown(name: string, message: string | undefined): void {
    if (message === undefined) this.#shutdowns.delete(name);
    else this.#shutdowns.set(name, message);
    this.#configureRunning();
    if (message === undefined) this.#peers?.running.start(name);
    else this.post({ kind: "shutDown", name });
  }

  bfdStatus(): readonly BfdStatus[] {
    return this.#bfd.status();
  }

  /** Settles when the last connection has ended, after `signal`. */
  async ended(): Promise<void> {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    await this.#bfd.close();
    await this.#ended;
    await this.#peers?.running.ended;
  }

  #perform(effect: SpeakerEffect): void {
    const { fib } = this.#deps;
    switch (effect.kind) {
      case "configurePeers":
        this.#configurePeers(effect.peers);
        break;
      case "send":
        this.send(effect.name, effect.bytes);
        break;
      case "setRoutes":
        fib.setRoutes(effect.routes);
        break;
      case "converged":
        this.#deps.log.info({ routes: fib.size }, "Converged");
        fib.converged();
        break;
      case "resetPeer":
        this.#peers?.running.reset(effect.name, effect.subcode);
        break;
      case "keepDown":
        this.setShutdown(effect.name, effect.message);
        break;
      case "prefixLimit":
        this.#logLimit(effect.report);
        break;
      case "startTimer":
        this.#startTimer(effect.timer, effect.seconds);
        break;
      case "stopTimer":
        this.#stopTimer(effect.timer);
        break;
      case "flushSoon":
        this.#flushSoon(effect.continues === true);
        break;
      default:
        assertNever(effect);
    }
  }

  /**
   * At the end of this turn of the event loop: what all readable sockets had is one batch. A flush that
   * took long is followed by a rest, so that under load batches become larger.
   */
  #flushSoon(continues: boolean): void {
    const { clock } = this.#deps;
    const restMs = continues ? 0 : this.#restUntilMs - clock.now();
    if (!continues) this.#flushedMs = 0;
    if (restMs < 1) inOwnRound(() => this.#flush());
    else clock.setTimer(restMs, () => this.#flush());
  }

  #flush(): void {
    const { clock } = this.#deps;
    const startedMs = clock.now();
    this.#postLater({ kind: "flush" });
    const endedMs = clock.now();
    this.#flushedMs += endedMs - startedMs;
    this.#restUntilMs = endedMs + Math.min(this.#flushedMs / 2, maxRestMs);
  }

  #configurePeers(peers: readonly PeerConfig[]): void {
    this.#wanted = peers;
    this.#bfdPeers.configure(peers);
    const { config } = this.#speaker;
    if (config === undefined) return;
    const { listenAddresses, listenPort } = config;
    if (this.#peers?.port === listenPort) {
      this.#peers.running.listenOn(listenAddresses);
      this.#configureRunning();
    } else if (this.#peers === undefined) this.#startPeers(listenAddresses, listenPort);
    else this.#restartPeers();
  }

  /** Another port to listen on: all sessions end, and start again when it is free. */
  #restartPeers(): void {
    const before = this.#peers;
    this.#peers = undefined;
    if (before === undefined) return;
    before.stop();
    this.#ended = before.running.ended.then(() => {
      const { config } = this.#speaker;
      if (this.#peers !== undefined || config === undefined || this.#deps.signal.aborted) return;
      this.#startPeers(config.listenAddresses, config.listenPort);
    });
  }

  #startPeers(listenAddresses: readonly IpAddr[], listenPort: number): void {
    const { clock, log, signal } = this.#deps;
    const own = new AbortController();
    const running = createPeers(
      { listenAddresses, listenPort, closeQuietly: true },
      {
        clock,
        log,
        signal: AbortSignal.any([signal, own.signal]),
        onEvent: (event) => this.#peerEvent(event),
        tapPoint: this.#tapPoint,
        // What forwards is the kernel, and it has kept its routes, those to our pods at least.
        localRestart: () => ({
          restarting: this.#speaker.isRestarting,
          forwardingKept: true,
        }),
      },
    );
    this.#peers = { running, port: listenPort, stop: () => own.abort() };
    this.#configureRunning();
  }

  #configureRunning(): void {
    const dynamic = (this.#speaker.config?.dynamicPeers ?? []).map(({ peers }) => peers);
    const peers = this.#wanted.map((peer) => {
      const message = this.#shutdowns.get(peer.name);
      return message === undefined ? peer : { ...peer, shutdown: { message } };
    });
    this.#peers?.running.configure(peers, dynamic);
  }

  #logLimit({ name, family, count, limit, exceeded }: LimitReport): void {
    const text = exceeded ? "Prefix limit exceeded" : "Prefix limit near";
    this.#deps.log.warn({ peer: name, family, count, limit }, text);
  }

  #peerEvent(event: PeerEvent): void {
    this.#bfdPeers.handle(event);
    this.post({ kind: "peer", event });
  }

  #startTimer(timer: SpeakerTimer, seconds: number): void {
    this.#stopTimer(timer);
    const cancel = this.#deps.clock.setTimer(seconds * 1000, () => {
      this.#timers.delete(timer);
      this.#postLater({ kind: "timerExpired", timer });
    });
    this.#timers.set(timer, cancel);
  }

  #stopTimer(timer: SpeakerTimer): void {
    this.#timers.get(timer)?.();
    this.#timers.delete(timer);
  }

  #postLater(event: SpeakerEvent): void {
    if (!this.#deps.signal.aborted) this.post(event);
  }
}
