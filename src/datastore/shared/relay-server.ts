import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import { stringifyBigJson } from "../../lib/big-json.ts";
import type { Clock } from "../../lib/clock.ts";
import { type LineClient, serveLines } from "../../lib/line-server.ts";
import type { Service } from "../../lib/service.ts";
import type { SyncerCallbacks, Update } from "../syncer.ts";
import { aliveMs, kindsAskedFor, type RelayMessage } from "./relay-message.ts";
import type { SharedFeed } from "./shared-feed.ts";

const maxRequest = 1_000;
/** Characters that wait for a follower: one that does not read begins again. */
const maxWaiting = 64 * 1024 * 1024;

/** Tells the other processes of this node what a feed knows, on a socket that only its owner may open. */
export function serveFeed(path: string, feed: SharedFeed, clock: Clock): Service {
  const line = async (request: string, client: LineClient) => {
    const kinds = kindsAskedFor(request);
    // What is missing would look like nothing.
    if (kinds === undefined || !kinds.every((kind) => feed.has(kind))) return client.end();
    const outbox = new Outbox(client);
    const beat = () => {
      outbox.send([lineOf({ is: "alive" })]);
      cancel = clock.setTimer(aliveMs, beat);
    };
    let cancel = clock.setTimer(aliveMs, beat);
    try {
      await feed.follow(kinds, toldTo(outbox), client.signal);
    } finally {
      cancel();
    }
  };
  return (signal) => serveLines({ path, maxLength: maxRequest }, { line }, signal);
}

function toldTo(outbox: Outbox): SyncerCallbacks {
  return {
    onUpdates: (updates) => outbox.send(updates.map(lineOfUpdate)),
    onStatus: (status) => {
      if (status === "in-sync") outbox.send([lineOf({ is: "in-sync" })]);
    },
  };
}

/** Both daemons are told the same objects. */
const known = new WeakMap<ResourceOfKind[Kind], string>();

function lineOfUpdate({ key, value }: Update): string {
  if (value === null) return lineOf({ is: "gone", key });
  const line = known.get(value) ?? lineOf({ is: "object", resource: value });
  known.set(value, line);
  return line;
}

function lineOf(message: RelayMessage): string {
  return `${stringifyBigJson(message)}\n`;
}

/** Lines that a client has not taken yet. */
class Outbox {
  readonly #client: LineClient;
  #waiting = "";
  #isBusy = false;

  constructor(client: LineClient) {
    this.#client = client;
  }

  /** @throws {RangeError} when too much waits. */
  send(lines: readonly string[]): void {
    this.#waiting += lines.join("");
    if (this.#waiting.length > maxWaiting) {
      throw new RangeError(
        `Cannot tell a follower: ${this.#waiting.length} characters wait for it`,
      );
    }
    if (!this.#isBusy) void this.#write();
  }

  async #write(): Promise<void> {
    this.#isBusy = true;
    try {
      while (this.#waiting !== "") {
        const text = this.#waiting;
        this.#waiting = "";
        await this.#client.write(text);
      }
    } catch {
      // It has gone, which its signal says.
    }
    this.#isBusy = false;
  }
}
