import { createConnection, type Socket } from "node:net";
import { keyOf, keyText } from "../../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import { parseBigJson } from "../../lib/big-json.ts";
import type { Clock } from "../../lib/clock.ts";
import { linesOf } from "../../lib/lines-of.ts";
import type { Logger } from "../../lib/log.ts";
import { type Datastore, DatastoreError, type Followed, type WatchEvent } from "../datastore.ts";
import { followAll } from "../list-and-watch.ts";
import { aliveMs, followRequest, type RelayMessage } from "./relay-message.ts";

export interface RelayPorts {
  /** Socket of `serveFeed`. */
  readonly path: string;
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A server that is silent for so long hangs. */
const silenceMs = 3 * aliveMs;
/** A server that is there and does not answer may be starting again. */
const patience = { tries: 10, pauseMs: 500 };
/** How often one is looked for while there is none. */
const lookMs = 30_000;
/** No revision of a datastore: who resumes from it follows anew. */
const noRevision = "0";

/**
 * Follows kinds by what another process of this node tells. Where there is none, as for a daemon that runs by
 * itself, or it has gone for good, the datastore is followed, until there is one again.
 */
export class FeedRelay implements Pick<Datastore, "list" | "watch" | "follow"> {
  readonly #ports: RelayPorts;
  #isDirect = false;
  /** Whom the search of a direct follower found, until the next `follow`. */
  #found: Followed | undefined;

  constructor(ports: RelayPorts) {
    this.#ports = ports;
  }

  get list(): Datastore["list"] {
    const { datastore } = this.#ports;
    return datastore.list.bind(datastore);
  }

  async follow(kinds: readonly Kind[], signal: AbortSignal): Promise<Followed> {
    const found = this.#found;
    this.#found = undefined;
    const relayed = found ?? (await this.#followRelay(kinds, signal));
    if (relayed === undefined && !this.#isDirect) {
      this.#ports.log.info({}, "the datastore is followed directly");
    }
    this.#isDirect = relayed === undefined;
    return relayed ?? (await this.#followDirectly(kinds, signal));
  }

  watch(kinds: readonly Kind[], revision: string, signal: AbortSignal): AsyncIterable<WatchEvent> {
    if (!this.#isDirect) return failing(beginAgain());
    const changes = (stop: AbortSignal) => this.#ports.datastore.watch(kinds, revision, stop);
    return this.#untilServed(kinds, changes, signal);
  }

  /** Undefined when nobody tells all of the kinds. */
  async #followRelay(kinds: readonly Kind[], signal: AbortSignal): Promise<Followed | undefined> {
    const socket = await this.#connect(signal);
    if (socket === undefined) return undefined;
    return await followRelay(socket, kinds, { ...this.#ports, signal });
  }

  async #followDirectly(kinds: readonly Kind[], signal: AbortSignal): Promise<Followed> {
    const served = new AbortController();
    const stop = AbortSignal.any([signal, served.signal]);
    const followed = await followAll(this.#ports.datastore, kinds, stop);
    const changes = () => followed.changes;
    return { ...followed, changes: this.#untilServed(kinds, changes, signal, served) };
  }

  /** The changes; when somebody else has told everything, they end as if they were known no more. */
  async *#untilServed(
    kinds: readonly Kind[],
    changesUntil: (stop: AbortSignal) => AsyncIterable<WatchEvent>,
    signal: AbortSignal,
    served = new AbortController(),
  ): AsyncGenerator<WatchEvent> {
    const stop = AbortSignal.any([signal, served.signal]);
    const over = new AbortController();
    const looking = this.#look(kinds, served, AbortSignal.any([signal, over.signal]));
    try {
      yield* changesUntil(stop);
    } finally {
      if (!served.signal.aborted) over.abort();
      await looking;
    }
    if (!signal.aborted) throw beginAgain();
  }

  /** Until somebody has told everything: who hangs, or does not tell of all kinds, is no reason to stop. */
  async #look(kinds: readonly Kind[], served: AbortController, signal: AbortSignal): Promise<void> {
    const { clock, path } = this.#ports;
    while (!signal.aborted) {
      await clock.sleep(lookMs, signal).catch(() => undefined);
      const socket = signal.aborted ? undefined : await connect(path);
      if (socket === undefined || socket instanceof Error) continue;
      this.#found = await followRelay(socket, kinds, { clock, signal });
      if (this.#found === undefined) continue;
      served.abort();
      return;
    }
  }

  /** Undefined when there is no such socket, or nobody behind it. */
  async #connect(signal: AbortSignal): Promise<Socket | undefined> {
    const { path, clock } = this.#ports;
    for (let tries = 1; tries <= patience.tries && !signal.aborted; tries++) {
      const socket = await connect(path);
      if (!(socket instanceof Error)) return socket;
      if (socket.code === "ENOENT" || this.#isDirect) return undefined;
      await clock.sleep(patience.pauseMs, signal).catch(() => undefined);
    }
    return undefined;
  }
}

async function followRelay(
  socket: Socket,
  kinds: readonly Kind[],
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Followed | undefined> {
  const end = () => socket.destroy();
  signal.addEventListener("abort", end, { once: true });
  socket.on("close", () => signal.removeEventListener("abort", end));
  if (signal.aborted) end();
  socket.write(followRequest(kinds));
  const messages = messagesOf(socket, clock);
  const resources = new Map<string, ResourceOfKind[Kind]>();
  for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
    const message = next.value;
    if (message.is === "object") resources.set(keyText(keyOf(message.resource)), message.resource);
    if (message.is === "gone") resources.delete(keyText(message.key));
    if (message.is !== "in-sync") continue;
    const changes = eventsOf(messages);
    return { resources: [...resources.values()], revision: noRevision, changes };
  }
  return undefined;
}

async function* messagesOf(socket: Socket, clock: Clock): AsyncGenerator<RelayMessage> {
  const giveUp = () => socket.destroy();
  let cancel = clock.setTimer(silenceMs, giveUp);
  try {
    for await (const line of linesOf(socket)) {
      cancel();
      cancel = clock.setTimer(silenceMs, giveUp);
      yield parseBigJson(line) as RelayMessage;
    }
  } catch {
    // How it ended is all the same.
  } finally {
    cancel();
    socket.destroy();
  }
}

async function* eventsOf(messages: AsyncIterable<RelayMessage>): AsyncGenerator<WatchEvent> {
  for await (const message of messages) {
    if (message.is === "object") {
      const { resource } = message;
      yield { kind: "set", key: keyOf(resource), resource, revision: noRevision };
    } else if (message.is === "gone") {
      yield { kind: "deleted", key: message.key, revision: noRevision };
    } else yield { kind: "progress", revision: noRevision };
  }
  throw gone();
}

function connect(path: string): Promise<Socket | NodeJS.ErrnoException> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.on("error", resolve);
    socket.on("connect", () => resolve(socket));
  });
}

function gone(): DatastoreError {
  const message = "Cannot follow: the process that tells of the datastore has gone";
  return new DatastoreError(message, { code: "unavailable" });
}

function beginAgain(): DatastoreError {
  return new DatastoreError("Cannot go on: everything is to be told again", {
    code: "compacted",
    revision: noRevision,
  });
}

function failing(error: DatastoreError): AsyncIterable<never> {
  const next = async () => {
    throw error;
  };
  return { [Symbol.asyncIterator]: () => ({ next }) };
}
