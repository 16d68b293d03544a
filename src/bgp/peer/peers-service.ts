import { isDeepStrictEqual } from "node:util";
import { Backoff } from "../../lib/backoff.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { Logger } from "../../lib/log.ts";
import { cease } from "../wire/notification.ts";
import { type LocalRestart, localOpen } from "./negotiate.ts";
import type { PeerConfig, PeerEvent, Peers } from "./peer.ts";
import { PeerShell, rejectConnection } from "./peer-shell.ts";
import { createTcpTransport } from "./tcp-transport.ts";
import type { Connection, Transport } from "./transport.ts";

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
const listenRetry = { minMs: 1000, maxMs: 30_000 };

/** Starts listening; sessions come with configure(). */
export function createPeers(config: PeersConfig, deps: PeersDeps): RunningPeers {
  const transport = deps.transport ?? createTcpTransport(deps);
  const shells = new Map<string, PeerShell>();
  const closings = new Set<Promise<void>>();
  const closing = (closed: Promise<void>) => {
    closings.add(closed);
    void closed.finally(() => closings.delete(closed));
  };

  const startPeer = (peer: PeerConfig): PeerShell => {
    const { highWaterBytes = defaultHighWaterBytes } = config;
    const restart = deps.localRestart ?? (() => ({ restarting: false, forwardingKept: false }));
    const { clock, onEvent, random = Math.random } = deps;
    const log = deps.log.child({ peer: peer.name });
    return new PeerShell(
      { peer, highWaterBytes, localOpen: () => localOpen(peer, restart()) },
      { clock, log, onEvent, random, transport, closing },
    );
  };

  const accepted = (connection: Connection) => {
    const shell = shellOf(shells.values(), connection);
    if (shell !== undefined) return shell.accept(connection);
    deps.log.debug({ address: connection.remoteAddress }, "Connection of no peer refused");
    closing(rejectConnection(connection));
  };

  const listeners = config.listenAddresses.map((address) =>
    keepListening(
      { address, port: config.listenPort },
      { clock: deps.clock, log: deps.log, signal: deps.signal, transport, accepted },
    ),
  );

  const ended = new Promise<void>((resolve) => {
    const end = async () => {
      stopAll(shells, cease.administrativeShutdown, config.closeQuietly);
      await Promise.all(closings);
      resolve();
    };
    if (deps.signal.aborted) void end();
    else deps.signal.addEventListener("abort", () => void end(), { once: true });
  });

  return {
    configure: (peers) => {
      if (!deps.signal.aborted) configure(shells, peers, startPeer);
    },
    send: (name, bytes) => shells.get(name)?.send(bytes) ?? false,
    reset: (name, subcode) => {
      const shell = shells.get(name);
      if (shell === undefined) return;
      shell.stop(subcode, false);
      const next = startPeer(shell.config);
      shells.set(name, next);
      next.start();
    },
    status: () => [...shells.values()].map((shell) => shell.status()),
    listening: Promise.all(listeners),
    ended,
  };
}

/** Only what differs is touched: an unchanged peer keeps its session. */
function configure(
  shells: Map<string, PeerShell>,
  peers: readonly PeerConfig[],
  startPeer: (peer: PeerConfig) => PeerShell,
): void {
  const wanted = new Map(peers.map((peer) => [peer.name, peer]));
  for (const [name, shell] of shells) {
    const peer = wanted.get(name);
    if (isDeepStrictEqual(peer, shell.config)) continue;
    shells.delete(name);
    shell.stop(peer === undefined ? cease.peerDeconfigured : cease.configurationChange, false);
  }
  for (const [name, peer] of wanted) {
    if (shells.has(name)) continue;
    const shell = startPeer(peer);
    shells.set(name, shell);
    shell.start();
  }
}

function stopAll(shells: Map<string, PeerShell>, subcode: number, quiet: boolean): void {
  const all = [...shells.values()];
  shells.clear();
  for (const shell of all) shell.stop(subcode, quiet);
}

/** By remote address; of several with one address, the one that has our end's address. */
function shellOf(
  shells: Iterable<PeerShell>,
  { remoteAddress, localAddress }: Connection,
): PeerShell | undefined {
  const candidates = [...shells].filter(({ config }) => config.address === remoteAddress);
  return candidates.find(({ config }) => config.localAddress === localAddress) ?? candidates[0];
}

/**
 * Listens, and tries again when that fails: the address may not be there yet, the port may still be
 * held by a process that ends. Gives the port.
 */
function keepListening(
  endpoint: { readonly address: IpAddr; readonly port: number },
  deps: {
    readonly clock: Clock;
    readonly log: Logger;
    readonly signal: AbortSignal;
    readonly transport: Transport;
    readonly accepted: (connection: Connection) => void;
  },
): Promise<number> {
  const { clock, log, signal, transport, accepted } = deps;
  const backoff = new Backoff(listenRetry);
  let stop: () => void = () => undefined;
  signal.addEventListener("abort", () => stop(), { once: true });
  return new Promise((resolve) => {
    const listen = () => {
      if (signal.aborted) return;
      stop = transport.listen(endpoint, {
        listening: (port) => {
          log.info({ ...endpoint, port }, "Listening");
          backoff.reset();
          resolve(port);
        },
        accepted,
        failed: (error) => {
          log.warn({ ...endpoint, reason: errorMessage(error) }, "Cannot listen");
          stop();
          stop = clock.setTimer(backoff.next(), listen);
        },
      });
    };
    listen();
  });
}
