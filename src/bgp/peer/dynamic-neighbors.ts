import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../lib/clock.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import { type Prefix, prefixHasAddress, prefixLength } from "../../lib/prefix.ts";
import type { CeaseReason } from "../fsm/events.ts";
import { cease } from "../wire/notification.ts";
import type { DynamicPeers, Negotiated, PeerConfig, PeerEvent } from "./peer.ts";
import type { PeerShell } from "./peer-shell.ts";

export interface DynamicNeighborsDeps {
  readonly clock: Clock;
  readonly onEvent: (event: PeerEvent) => void;
  /** Makes a peer known; it does nothing yet. */
  readonly add: (config: PeerConfig) => PeerShell;
  /** Ends a peer and forgets it. */
  readonly remove: (shell: PeerShell, reason: CeaseReason) => void;
}

/** A neighbor that is there, or may come back. */
interface Present {
  readonly shell: PeerShell;
  readonly prefix: Prefix;
  /** Of its last session. */
  negotiated?: Negotiated;
  /** Set while it may come back. */
  cancelRemoval?: () => void;
}

/**
 * Peers that nobody has configured one by one: who connects from a prefix is one until its session
 * ends, or until its graceful restart time is over.
 */
export class DynamicNeighbors {
  readonly #deps: DynamicNeighborsDeps;
  #prefixes: readonly DynamicPeers[] = [];
  readonly #present = new Map<string, Present>();

  constructor(deps: DynamicNeighborsDeps) {
    this.#deps = deps;
  }

  has(name: string): boolean {
    return this.#present.has(name);
  }

  /** The prefix that an address belongs to: the longest. */
  prefixOf(address: IpAddr): DynamicPeers | undefined {
    let longest: DynamicPeers | undefined;
    for (const each of this.#prefixes) {
      if (!prefixHasAddress(each.prefix, address)) continue;
      if (longest === undefined || prefixLength(each.prefix) > prefixLength(longest.prefix)) {
        longest = each;
      }
    }
    return longest;
  }

  /** Ends those whose prefix has gone or changed, and those that `isConfigured` by now. */
  configure(prefixes: readonly DynamicPeers[], isConfigured: (address: IpAddr) => boolean): void {
    this.#prefixes = prefixes;
    for (const { shell, prefix } of [...this.#present.values()]) {
      const { address, zone } = shell.config;
      const next = this.prefixOf(address);
      const isSame =
        next?.prefix === prefix && isDeepStrictEqual(configOf(next, address, zone), shell.config);
      if (isSame && !isConfigured(address)) continue;
      const ceaseSubcode = next === undefined ? cease.peerDeconfigured : cease.configurationChange;
      this.#remove(shell, { ceaseSubcode });
    }
  }

  /** A new peer; undefined when its prefix is full or shut down. */
  arrive(dynamic: DynamicPeers, address: IpAddr, zone: string | undefined): PeerShell | undefined {
    const { prefix, limit, template } = dynamic;
    const count = [...this.#present.values()].filter((each) => each.prefix === prefix).length;
    if (count >= limit || template.shutdown !== undefined) return undefined;
    const config = configOf(dynamic, address, zone);
    const shell = this.#deps.add(config);
    this.#present.set(config.name, { shell, prefix });
    this.#deps.onEvent({ kind: "dynamicAdded", config, prefix });
    shell.start();
    return shell;
  }

  /** What one of them has told, after the speaker has heard it. */
  heard(event: PeerEvent): void {
    if (event.kind !== "established" && event.kind !== "down") return;
    const present = this.#present.get(event.name);
    if (present === undefined) return;
    present.cancelRemoval?.();
    delete present.cancelRemoval;
    if (event.kind === "established") present.negotiated = event.negotiated;
    else this.#removeLater(present, event.graceful ? staleSeconds(present.negotiated) : 0);
  }

  /** Its connection has ended before it was a session. */
  idle(name: string): void {
    const present = this.#present.get(name);
    if (present !== undefined && present.cancelRemoval === undefined) {
      this.#removeLater(present, 0);
    }
  }

  #removeLater(present: Present, seconds: number): void {
    const reason = { ceaseSubcode: cease.peerDeconfigured };
    if (seconds === 0) {
      this.#remove(present.shell, reason);
      return;
    }
    present.cancelRemoval = this.#deps.clock.setTimer(seconds * 1000, () => {
      delete present.cancelRemoval;
      // Its next connection may be on the way up: idle() or "down" tell how that ends.
      if (!present.shell.isConnected) this.#remove(present.shell, reason);
    });
  }

  #remove(shell: PeerShell, reason: CeaseReason): void {
    const { name } = shell.config;
    const present = this.#present.get(name);
    if (present === undefined) return;
    // First, so that the "down" that follows finds nothing to remove.
    this.#present.delete(name);
    present.cancelRemoval?.();
    this.#deps.remove(shell, reason);
    this.#deps.onEvent({ kind: "dynamicRemoved", name });
  }

  /** Ends all timers; the peers end with all others. */
  stop(): void {
    for (const { cancelRemoval } of this.#present.values()) cancelRemoval?.();
    this.#present.clear();
  }
}

/** "Dynamic_10_0_0_7", as facts 5.16 step 6 names sessions. */
function configOf(
  { template }: DynamicPeers,
  address: IpAddr,
  zone: string | undefined,
): PeerConfig {
  const name = `Dynamic_${address.replaceAll(/[.:]/g, "_")}`;
  return { ...template, name, address, passive: true, ...(zone !== undefined && { zone }) };
}

/** How long its routes may be kept: its restart time, then its long-lived stale time (RFC 9494). */
function staleSeconds(negotiated: Negotiated | undefined): number {
  const longLived = negotiated?.longLivedGracefulRestart ?? [];
  const stale = longLived.map((each) => each.staleSeconds);
  return (negotiated?.gracefulRestart?.restartSeconds ?? 0) + Math.max(0, ...stale);
}
