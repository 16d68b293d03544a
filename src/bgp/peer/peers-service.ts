import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../lib/clock.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import { hostPrefix, type Prefix } from "../../lib/prefix.ts";
import type { CeaseReason } from "../fsm/events.ts";
import { cease } from "../wire/notification.ts";
import { DynamicNeighbors } from "./dynamic-neighbors.ts";
import { listenKeys } from "./listen-keys.ts";
import { Listeners } from "./listeners.ts";
import type { TapPoint } from "./message-tap.ts";
import { type LocalRestart, localOpen } from "./negotiate.ts";
import type { DynamicPeers, PeerConfig, PeerEvent, PeerStatus, Peers } from "./peer.ts";
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
   * At the end, close TCP without a NOTIFICATION where the peer then keeps our routes as stale (RFC
   * 4724). Otherwise Cease/Administrative Shutdown is sent.
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
  /** A tap there sees every message of every session. */
  readonly tapPoint?: TapPoint;
  /** Default: real TCP. */
  readonly transport?: Transport;
  readonly random?: () => number;
}

/** Peers with their life. */
export interface RunningPeers extends Peers {
  /** ManualStart (RFC 4271 section 8.1.2): a peer that waits in Idle connects at once, without damping. */
  start(name: string): void;
  /** Listens on these own addresses instead; sessions go on. */
  listenOn(addresses: readonly IpAddr[]): void;
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
  readonly #dynamic: DynamicNeighbors;
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
    this.#dynamic = new DynamicNeighbors({
      clock,
      onEvent: deps.onEvent,
      add: (peer) => this.#add(peer, { isDynamic: true }),
      remove: (shell, reason) => this.#remove(shell, reason),
    });
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
  configure(peers: readonly PeerConfig[], dynamic: readonly DynamicPeers[] = []): void {
    if (this.#deps.signal.aborted) return;
    const wanted = new Map(peers.map((peer) => [peer.name, peer]));
    for (const shell of this.#table.all()) {
      const { name } = shell.config;
      if (this.#dynamic.has(name)) continue;
      const peer = wanted.get(name);
      if (isDeepStrictEqual(peer, shell.config)) continue;
      this.#remove(shell, endOf(peer ?? successorOf(shell.config, peers)));
    }
    const addresses = new Set(peers.map(({ address }) => address));
    this.#dynamic.configure(dynamic, (address) => addresses.has(address));
    const added = peers.filter(({ name }) => this.#table.get(name) === undefined);
    const shells = added.map((peer) => this.#add(peer));
    const { keys, refused } = listenKeys(peers, dynamic);
    this.#refused = refused;
    this.#listeners.setKeys(keys);
    for (const shell of shells) shell.start();
  }

  listenOn(addresses: readonly IpAddr[]): void {
    this.#listeners.setAddresses(addresses);
  }

  send(name: string, bytes: Uint8Array): boolean {
    return this.#table.get(name)?.send(bytes) ?? false;
  }

  reset(name: string, subcode: number, message?: string): void {
    const words = message === undefined ? {} : { message };
    this.#table.get(name)?.reset({ ceaseSubcode: subcode, ...words });
  }

  start(name: string): void {
    this.#table.get(name)?.start();
  }

  status(): readonly PeerStatus[] {
    return this.#table.all().map((shell) => shell.status());
  }

  #add(peer: PeerConfig, { isDynamic = false }: { readonly isDynamic?: boolean } = {}): PeerShell {
    const { highWaterBytes = defaultHighWaterBytes } = this.#config;
    const { clock, onEvent, random = Math.random, localRestart = noRestart } = this.#deps;
    const dynamicEvent = (event: PeerEvent) => {
      onEvent(event);
      this.#dynamic.heard(event);
    };
    const shell = new PeerShell(
      { peer, highWaterBytes, localOpen: () => localOpen(peer, localRestart()) },
      {
        clock,
        random,
        tapPoint: this.#deps.tapPoint,
        onEvent: isDynamic ? dynamicEvent : onEvent,
        log: this.#deps.log.child({ peer: peer.name }),
        transport: this.#transport,
        closing: (closed) => this.#closing(closed),
        idle: () => this.#dynamic.idle(peer.name),
      },
    );
    this.#table.add(shell);
    return shell;
  }

  #remove(shell: PeerShell, reason: CeaseReason): void {
    this.#table.remove(shell);
    shell.stop(reason);
  }

  #accepted(connection: IncomingConnection): void {
    const shell = this.#table.peerOf(connection);
    if (shell === undefined) this.#acceptDynamic(connection);
    else shell.accept(connection);
  }

  /** A configured peer wins over a prefix: it has been looked for before. */
  #acceptDynamic(connection: IncomingConnection): void {
    const { remoteAddress: address, zone } = connection;
    const dynamic = this.#dynamic.prefixOf(address);
    const failedKey = dynamic && this.#failedKeys.get(dynamic.prefix);
    if (failedKey !== undefined) {
      this.#deps.log.warn({ address, reason: failedKey }, "Connection refused");
      connection.refuse();
      return;
    }
    const shell = dynamic && this.#dynamic.arrive(dynamic, address, zone);
    if (shell === undefined) {
      this.#deps.log.debug({ address, prefix: dynamic?.prefix }, "Connection refused");
      this.#closing(rejectConnection(connection));
      return;
    }
    shell.accept(connection);
    if (!shell.isConnected) this.#dynamic.idle(shell.config.name);
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
    this.#dynamic.stop();
    const quiet = this.#config.closeQuietly;
    for (const shell of this.#table.all()) {
      this.#table.remove(shell);
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

/** The same neighbor under another name: its session ends, but it is not gone. */
function successorOf(
  { address, zone }: PeerConfig,
  peers: readonly PeerConfig[],
): PeerConfig | undefined {
  return peers.find((peer) => peer.address === address && peer.zone === zone);
}

function noRestart(): LocalRestart {
  return { restarting: false, forwardingKept: false };
}
