import type { IpAddr } from "../../lib/ip-addr.ts";
import type { BfdConfig } from "../peer/peer.ts";

/** A path that is watched: from our address to the peer's. */
export interface BfdSessionConfig {
  readonly peer: IpAddr;
  readonly local: IpAddr;
  /** Interface of link-local addresses. */
  readonly zone?: string;
  readonly bfd: BfdConfig;
}

/**
 * What a session says of its path. "disabled": the peer has switched its session off, which says
 * nothing of the path (RFC 5880 section 6.2). "unknown": who watches has failed and starts again.
 */
export type BfdPathState = "up" | "down" | "disabled" | "unknown";

export interface BfdChange {
  /** sessionKey() of its configuration. */
  readonly key: string;
  readonly state: BfdPathState;
  /** In words: "Control Detection Time Expired". */
  readonly reason: string;
  /** Since the peer's last packet, by the clock of the thread that watches. */
  readonly silentMs?: number;
}

export interface BfdStatus {
  readonly config: BfdSessionConfig;
  readonly state: BfdPathState;
  readonly reason: string;
}

/** BFD sessions of a speaker. */
export interface Bfd {
  /** Starts, ends and changes only what differs from the sessions before. */
  configure(sessions: readonly BfdSessionConfig[]): void;
  /** Every change of a path's state; a session begins "down" without being told. */
  onChange(handler: (change: BfdChange) => void): void;
  status(): readonly BfdStatus[];
}

/** One session may be between two addresses, of each kind (RFC 5881 section 3, RFC 5883 section 4). */
export function sessionKey(
  path: Pick<BfdSessionConfig, "peer" | "local" | "zone">,
  multihop: boolean,
): string {
  const zone = path.zone === undefined ? "" : `%${path.zone}`;
  return `${multihop ? "multihop " : ""}${path.local}${zone} ${path.peer}`;
}
