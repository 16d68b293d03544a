import { isDeepStrictEqual } from "node:util";
import { Worker } from "node:worker_threads";
import { Backoff } from "../../lib/backoff.ts";
import { assertNever } from "../../lib/brand.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import {
  type Bfd,
  type BfdChange,
  type BfdSessionConfig,
  type BfdStatus,
  sessionKey,
} from "./bfd.ts";
import type { FromBfdWorker, ToBfdWorker } from "./bfd-worker.ts";

export interface BfdDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Default: a worker thread. */
  readonly startWorker?: (handlers: BfdWorkerHandlers) => BfdWorker;
}

/** What a worker thread is to us. */
export interface BfdWorker {
  send(message: ToBfdWorker): void;
  terminate(): void;
}

export interface BfdWorkerHandlers {
  readonly received: (message: FromBfdWorker) => void;
  readonly failed: (error: unknown) => void;
  /** It is over, after a failure or not. */
  readonly ended: () => void;
}

export interface RunningBfd extends Bfd {
  /** Tells the peers that the end is on purpose; settles when the thread has ended. */
  close(): Promise<void>;
}

const restartDelay = { minMs: 250, maxMs: 30_000 };
/** Longest wait for the last words of a thread. */
const closeLimitMs = 1000;
/** A few sessions need no more. */
const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 };

/**
 * BFD in a thread of its own, so that sessions stay up while the main thread is busy. The thread is
 * started by the first session, and again after it has died: until then its sessions are "unknown".
 */
export function createBfd(deps: BfdDeps): RunningBfd {
  return new ThreadedBfd(deps);
}

class ThreadedBfd implements RunningBfd {
  readonly #deps: BfdDeps;
  readonly #backoff = new Backoff(restartDelay);
  readonly #handlers: ((change: BfdChange) => void)[] = [];
  readonly #status = new Map<string, BfdStatus>();
  #configs: readonly BfdSessionConfig[] = [];
  #thread: { readonly worker: BfdWorker; readonly ended: Promise<void> } | undefined;
  #cancelRestart: (() => void) | undefined;
  #isClosed = false;

  constructor(deps: BfdDeps) {
    this.#deps = deps;
  }

  configure(sessions: readonly BfdSessionConfig[]): void {
    if (this.#isClosed || isDeepStrictEqual(sessions, this.#configs)) return;
    this.#configs = sessions;
    const keys = new Set<string>();
    for (const config of sessions) {
      const key = sessionKey(config, config.bfd.multihop);
      keys.add(key);
      const { state, reason } = this.#status.get(key) ?? { state: "down", reason: "Not up yet" };
      this.#status.set(key, { config, state, reason });
    }
    for (const key of this.#status.keys()) if (!keys.has(key)) this.#status.delete(key);
    if (this.#thread !== undefined) this.#thread.worker.send({ kind: "configure", sessions });
    else if (this.#cancelRestart === undefined && sessions.length > 0) this.#start();
  }

  onChange(handler: (change: BfdChange) => void): void {
    this.#handlers.push(handler);
  }

  status(): readonly BfdStatus[] {
    return [...this.#status.values()];
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRestart?.();
    const thread = this.#thread;
    if (thread === undefined) return;
    thread.worker.send({ kind: "close" });
    const cancel = this.#deps.clock.setTimer(closeLimitMs, () => thread.worker.terminate());
    await thread.ended;
    cancel();
  }

  #start(): void {
    this.#cancelRestart = undefined;
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const { startWorker = startThread, log } = this.#deps;
    const worker = startWorker({
      received: (message) => this.#message(message),
      failed: (error) => log.error({ reason: errorMessage(error) }, "The BFD thread failed"),
      ended: () => {
        resolve();
        this.#ended();
      },
    });
    this.#thread = { worker, ended };
    worker.send({ kind: "configure", sessions: this.#configs });
  }

  #message(message: FromBfdWorker): void {
    switch (message.kind) {
      case "change":
        this.#backoff.reset();
        this.#changed(message.change);
        break;
      case "warning":
        this.#deps.log.warn({ reason: message.reason }, "A BFD socket cannot be had");
        break;
      default:
        assertNever(message);
    }
  }

  #ended(): void {
    this.#thread = undefined;
    if (this.#isClosed) return;
    this.#cancelRestart = this.#deps.clock.setTimer(this.#backoff.next(), () => this.#start());
    for (const key of this.#status.keys()) {
      this.#changed({ key, state: "unknown", reason: "The BFD thread failed" });
    }
  }

  /** What a session said before it was deconfigured is of no interest. */
  #changed(change: BfdChange): void {
    const { key, state, reason } = change;
    const before = this.#status.get(key);
    if (before === undefined || this.#isClosed) return;
    this.#status.set(key, { ...before, state, reason });
    this.#deps.log.info(
      { session: key, from: before.state, to: state, reason },
      "BFD state changed",
    );
    for (const handler of this.#handlers) handler(change);
  }
}

function startThread({ received, failed, ended }: BfdWorkerHandlers): BfdWorker {
  const file = new URL(`./bfd-worker${import.meta.url.slice(-3)}`, import.meta.url);
  const worker = new Worker(file, { name: "bfd", env: {}, resourceLimits });
  worker.on("message", received).on("error", failed).on("exit", ended);
  return {
    send: (message) => worker.postMessage(message, []),
    terminate: () => void worker.terminate(),
  };
}
