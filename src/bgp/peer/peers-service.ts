import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../lib/clock.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import { hostPrefix, type Prefix } from "../../lib/prefix.ts";
import type { CeaseReason } from "../fsm/events.ts";
import { cease } from "../wire/notification.ts";
import { listenKeys } from "./listen-keys.ts";
import { Listeners } from "./listeners.ts";
import type { MessageTap } from "./message-tap.ts";
import { type LocalRestart, localOpen } from "./negotiate.ts";
import type { PeerConfig, PeerEvent, PeerStatus, Peers } from "./peer.ts";
import { PeerShell, rejectConnection } from "./peer-shell.ts";
import { PeerTable } from "./peer-table.ts";
import { createTcpTransport } from "./tcp-transport.ts";
import type { IncomingConnection, Transport } from "./transport.ts";

export interface PeersConfig {
  /** Own addresses to listen on. Empty: none. "0.0.0.0" and "::" are all of a family. */
  readonly listenAddresses: readonly IpAddr[];
  /** 0: any free port, told by `listening`. */
  readonly listenPort: number;
  /**
   * At the end, close TCP without a NOTIFICATION, so that peers with graceful restart keep our
   * routes as stale (RFC 4724). Otherwise Cease/Administrative Shutdown is sent.
   */
  readonly closeQuietly: boolean;
  /** Send queue of one peer over which `send` gives false, in octets. Default 4 MiB. */
  readonly highWaterBytes?: number;
}

export interface PeersDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Called synchronously; may call `send` and `configure`. */
  readonly onEvent: (event: PeerEvent) => void;
  /** Its abort ends all sessions. */
  readonly signal: AbortSignal;
  /** Asked for every OPEN. Absent: neither restarting nor forwarding kept. */
  readonly localRestart?: () => LocalRestart;
  /** Sees every message of every session. */
  readonly tap?: MessageTap;
  /** Default: real TCP. */
  readonly transport?: Transport;
  readonly random?: () => number;
}

/** Peers with their life. */
export interface RunningPeers extends Peers {
  /** The ports of `listenAddresses`, in order, once all listen; waits for ever while one cannot. */
  readonly listening: Promise<readonly number[]>;
  /** Settles when `signal` has aborted and the last connection has ended. */
  readonly ended: Promise<void>;
}

const defaultHighWaterBytes = 4 * 1024 * 1024;

/** Starts listening; sessions come with configure(). */
export function createPeers(config: PeersConfig, deps: PeersDeps): RunningPeers {
  return new PeersService(config, deps);
}

class PeersService implements RunningPeers {
  readonly listening: Promise<readonly number[]>;
  readonly ended: Promise<void>;
  readonly #config: PeersConfig;
  readonly #deps: PeersDeps;
  readonly #transport: Transport;
  readonly #table = new PeerTable();
  readonly #closings = new Set<Promise<void>>();
  readonly #listeners: Listeners;
  /** Why no key could be set, by the address or prefix that it is for. */
  #failedKeys: ReadonlyMap<Prefix, string> = new Map();
  /** Peers whose password another one contradicts. */
  #refused: ReadonlyMap<string, string> = new Map();

  constructor(config: PeersConfig, deps: PeersDeps) {
    const { clock, log, signal } = deps;
    this.#config = config;
    this.#deps = deps;
    this.#transport = deps.transport ?? createTcpTransport(deps);
    this.ended = new Promise((resolve) => {
      const end = () => resolve(this.#end());
      if (signal.aborted) end();
      else signal.addEventListener("abort", end, { once: true });
    });
    this.#listeners = new Listeners(
      { addresses: config.listenAddresses, port: config.listenPort },
      {
        clock,
        log,
        signal,
        transport: this.#transport,
        accepted: (connection) => this.#accepted(connection),
        keysFailed: (failed) => {
          this.#failedKeys = failed;
          this.#holdPeers();
        },
      },
    );
    this.listening = this.#listeners.listening;
  }

  /** Only what differs is touched: an unchanged peer keeps its session. */
  configure(peers: readonly PeerConfig[]): void {
    if (this.#deps.signal.aborted) return;
    const wanted = new Map(peers.map((peer) => [peer.name, peer]));
    for (const shell of this.#table.all()) {
      const peer = wanted.get(shell.config.name);
      if (isDeepStrictEqual(peer, shell.config)) continue;
      this.#table.remove(shell);
      shell.stop(endOf(peer));
    }
    const added = peers.filter(({ name }) => this.#table.get(name) === undefined);
    for (const peer of added) this.#table.add(this.#newShell(peer));
    const { keys, refused } = listenKeys(peers, []);
    this.#refused = refused;
    this.#listeners.setKeys(keys);
    for (const { name } of added) this.#table.get(name)?.start();
  }

  send(name: string, bytes: Uint8Array): boolean {
    return this.#table.get(name)?.send(bytes) ?? false;
  }

  reset(name: string, subcode: number, message?: string): void {
    const words = message === undefined ? {} : { message };
    this.#table.get(name)?.reset({ ceaseSubcode: subcode, ...words });
  }

  status(): readonly PeerStatus[] {
    return this.#table.all().map((shell) => shell.status());
  }

  #newShell(peer: PeerConfig): PeerShell {
    const { highWaterBytes = defaultHighWaterBytes } = this.#config;
    const { clock, onEvent, random = Math.random, localRestart = noRestart, tap } = this.#deps;
    return new PeerShell(
      { peer, highWaterBytes, localOpen: () => localOpen(peer, localRestart()) },
      {
        clock,
        onEvent,
        random,
        tap,
        log: this.#deps.log.child({ peer: peer.name }),
        transport: this.#transport,
        closing: (closed) => this.#closing(closed),
      },
    );
  }

  #accepted(connection: IncomingConnection): void {
    const shell = this.#table.peerOf(connection);
    if (shell !== undefined) {
      shell.accept(connection);
      return;
    }
    this.#deps.log.debug({ address: connection.remoteAddress }, "Connection of no peer refused");
    this.#closing(rejectConnection(connection));
  }

  /** Never unauthenticated: a peer whose key the listener lacks stays down (architecture promise 10). */
  #holdPeers(): void {
    for (const shell of this.#table.all()) {
      const { name, address } = shell.config;
      shell.hold(this.#refused.get(name) ?? this.#failedKeys.get(hostPrefix(address)));
    }
  }

  #closing(closed: Promise<void>): void {
    this.#closings.add(closed);
    void closed.finally(() => this.#closings.delete(closed));
  }

  async #end(): Promise<void> {
    for (const shell of this.#table.all()) {
      this.#table.remove(shell);
      const quiet = this.#config.closeQuietly;
      shell.stop({ ceaseSubcode: cease.administrativeShutdown }, { quiet });
    }
    await Promise.all(this.#closings);
  }
}

/** Why the session of a peer ends that is now configured as `next`, or not at all. */
function endOf(next: PeerConfig | undefined): CeaseReason {
  if (next === undefined) return { ceaseSubcode: cease.peerDeconfigured };
  if (next.shutdown === undefined) return { ceaseSubcode: cease.configurationChange };
  return { ceaseSubcode: cease.administrativeShutdown, message: next.shutdown.message };
}

function noRestart(): LocalRestart {
  return { restarting: false, forwardingKept: false };
}
