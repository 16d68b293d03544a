import type { IpAddr } from "../../lib/ip-addr.ts";
import type { PeerConfig, PeerEvent, Peers } from "../peer/peer.ts";
import { type Bfd, type BfdChange, type BfdSessionConfig, sessionKey } from "./bfd.ts";

/** Subcode of Cease (RFC 9384). */
const ceaseBfdDown = 10;

/**
 * Joins BFD to BGP (RFC 5882 section 10): each peer that is to be watched has a BFD session as soon as
 * our address is known. When the path fails, its Established session ends at once and its routes go:
 * the peer's graceful restart does not count, as the path does not forward. A BFD session that never
 * was up, that the peer has switched off, or whose watcher has failed, ends nothing.
 */
export class BfdPeers {
  readonly #bfd: Bfd;
  readonly #reset: Peers["reset"];
  #configured: readonly PeerConfig[] = [];
  /** By name. */
  readonly #dynamic = new Map<string, PeerConfig>();
  /** Our address in the session that is Established, by name. */
  readonly #established = new Map<string, IpAddr>();
  /** The same of the last session that was, so that a path is watched while BGP is down. */
  readonly #lastLocal = new Map<string, IpAddr>();

  constructor(bfd: Bfd, reset: Peers["reset"]) {
    this.#bfd = bfd;
    this.#reset = reset;
    bfd.onChange((change) => this.#changed(change));
  }

  /** All peers but the dynamic ones, which come and go by events. */
  configure(peers: readonly PeerConfig[]): void {
    this.#configured = peers;
    const names = new Set(peers.map(({ name }) => name));
    for (const name of this.#lastLocal.keys()) {
      if (!names.has(name) && !this.#dynamic.has(name)) this.#forget(name);
    }
    this.#apply();
  }

  handle(event: PeerEvent): void {
    switch (event.kind) {
      case "established":
        this.#established.set(event.name, event.negotiated.localAddress);
        this.#lastLocal.set(event.name, event.negotiated.localAddress);
        this.#apply();
        break;
      case "down":
        this.#established.delete(event.name);
        break;
      case "dynamicAdded":
        this.#dynamic.set(event.config.name, event.config);
        this.#apply();
        break;
      case "dynamicRemoved":
        this.#dynamic.delete(event.name);
        this.#forget(event.name);
        this.#apply();
        break;
      default:
        break;
    }
  }

  #forget(name: string): void {
    this.#established.delete(name);
    this.#lastLocal.delete(name);
  }

  #apply(): void {
    const sessions = new Map(this.#watched().map(({ key, session }) => [key, session]));
    this.#bfd.configure([...sessions.values()]);
  }

  #changed({ key, state, reason }: BfdChange): void {
    if (state !== "down") return;
    for (const { name, key: watched } of this.#watched()) {
      if (watched !== key || !this.#established.has(name)) continue;
      this.#reset(name, ceaseBfdDown, `BFD session down: ${reason}`);
    }
  }

  /** Two peers may share a path: they share its session. */
  #watched(): { name: string; key: string; session: BfdSessionConfig }[] {
    return [...this.#configured, ...this.#dynamic.values()].flatMap((peer) => {
      const { name, bfd, address, zone, localAddress } = peer;
      const local = localAddress ?? this.#lastLocal.get(name);
      if (bfd === undefined || local === undefined || peer.shutdown !== undefined) return [];
      const session = { peer: address, local, bfd, ...(zone === undefined ? {} : { zone }) };
      return [{ name, key: sessionKey(session, bfd.multihop), session }];
    });
  }
}
