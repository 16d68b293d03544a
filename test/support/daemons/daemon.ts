import type { IpFamily } from "../../../src/lib/ip-addr.ts";
import type { RowId } from "../../interop/rows/row.ts";

/**
 * A BGP daemon that the rows of test/interop/rows run against. A row states what it wants in the
 * neutral words of this file; each daemon has one file here that writes them in the daemon's own
 * language and reads the daemon's answers back.
 */
export interface Daemon {
  /** "BIRD": the column of docs/interop.md. */
  readonly name: string;
  /** Debian package that brings it. */
  readonly debianPackage: string;
  /** A program of the package: without it the tests fail and say so. */
  readonly program: string;
  /** It writes the routes that it learns into the kernel. */
  readonly installsRoutes: boolean;
  /** Its own graceful restart may take its routes out of the kernel for a moment. */
  readonly restartLosesRoutes?: boolean;
  /** Rows that it cannot do, by the word of its own documentation. */
  readonly cannot: Partial<Record<RowId, Citation>>;
  version(): Promise<string>;
  /** Starts it in a namespace. Resolves when it can be asked. */
  start(namespace: string, config: DaemonConfig): Promise<RunningDaemon>;
}

export interface Citation {
  readonly url: string;
  /** Its own words. */
  readonly words: string;
}

/** What a daemon is told to be. It has 10.99.0.2 and fd99::2 on eth0. */
export interface DaemonConfig {
  readonly asn: number;
  readonly routerId: string;
  readonly neighbors: readonly DaemonNeighbor[];
  readonly routes: readonly DaemonRoute[];
}

export interface DaemonNeighbor {
  readonly address: string;
  readonly localAddress: string;
  readonly asn: number;
  readonly families: readonly IpFamily[];
  /** It only waits for the neighbor to connect. */
  readonly passive: boolean;
  readonly password?: string;
  /** GTSM (RFC 5082) for a neighbor on the same link. */
  readonly ttlSecurity?: boolean;
  readonly routeReflectorClient?: boolean;
  /** RFC 4724, as restarter and as helper. */
  readonly gracefulRestart?: boolean;
  /** RFC 9494, for an hour. */
  readonly longLived?: boolean;
  /** RFC 7911, all families, all paths. */
  readonly addPath?: "receive" | "send" | "both";
  /** Most prefixes of a family before it ends the session. */
  readonly maxPrefixes?: number;
  /** RFC 5880, 300 ms x 3. */
  readonly bfd?: boolean;
  /** RFC 8950: IPv4 routes with IPv6 next hops. */
  readonly extendedNextHop?: boolean;
}

/** A route of the daemon's own, with itself as next hop. */
export interface DaemonRoute {
  readonly prefix: string;
  /** "64512:1" and "64512:1:2". */
  readonly communities?: readonly string[];
  readonly med?: number;
  readonly localPref?: number;
}

/** A path that it has learned, as its own commands show it. What they do not show is absent. */
export interface LearnedPath {
  readonly nextHop: string;
  readonly asPath: readonly number[];
  readonly localPref?: number;
  readonly med?: number;
  /** "64512:1" and "64512:1:2". */
  readonly communities: readonly string[];
  readonly originatorId?: string;
  readonly clusterList?: readonly string[];
  /** Kept for a neighbor that restarts. */
  readonly stale: boolean;
}

export interface RunningDaemon {
  /** "Established", or another state in the daemon's own word. */
  state(neighbor: string): Promise<string>;
  /** Paths to one prefix that neighbors told, its own routes not among them. */
  learned(prefix: string): Promise<readonly LearnedPath[]>;
  announce(route: DaemonRoute): Promise<void>;
  withdraw(prefix: string): Promise<void>;
  /** Asks a neighbor for its routes again (RFC 2918). */
  refresh(neighbor: string): Promise<void>;
  /** Ends the session with a NOTIFICATION; it comes back by itself. */
  reset(neighbor: string): Promise<void>;
  /** The BFD session with a neighbor is up. */
  bfdUp?(neighbor: string): Promise<boolean>;
  /** It hangs from now on. */
  pause(): void;
  /** It dies without a word. What it left in the kernel stays. */
  kill(): Promise<void>;
  /** Starts again after `kill`, as after a crash, with these routes of its own. */
  revive(routes: readonly DaemonRoute[]): Promise<void>;
  /** Ends it, and all that it left in files. */
  stop(): Promise<void>;
}
