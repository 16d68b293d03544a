import type { Asn } from "../../lib/asn.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { Secret } from "../../lib/secret.ts";
import type { FsmState } from "../fsm/fsm.ts";
import type { Capability, UpdateMessage } from "../wire/message.ts";

/** One configured neighbor. Plain data: two equal configs need no session reset. */
export interface PeerConfig {
  /** Session name of facts 5.16: "Mesh_10_0_0_2". Unique in a speaker. */
  readonly name: string;
  readonly address: IpAddr;
  readonly port: number;
  readonly remoteAs: Asn;
  readonly localAs: Asn;
  readonly localRouterId: number;
  /** Source address of our connection; absent: the kernel chooses. */
  readonly localAddress?: IpAddr;
  readonly passive: boolean;
  /** What comes from the address is for another peer with it. Absent: false. */
  readonly connectOnly?: boolean;
  readonly holdSeconds: number;
  readonly keepaliveSeconds?: number;
  readonly connectRetrySeconds: number;
  readonly families: readonly IpFamily[];
  readonly gracefulRestartSeconds: number;
  /** The peer is our route reflector client (RFC 4456). */
  readonly reflectorClient?: { readonly clusterId: number };
  /** Interface of a link-local `address`. */
  readonly zone?: string;
  readonly password?: Secret;
  /** GTSM (RFC 5082): at most this many hops away. Absent: no check. */
  readonly ttlSecurityHops?: number;
  readonly bfd?: BfdConfig;
  /** RFC 4271 section 8.1.1: wait so long for the peer's OPEN before ours is sent. */
  readonly delayOpenSeconds?: number;
  /** RFC 4271 section 8.1: longest wait in Idle after failures, each of which doubles it. Absent: 60. */
  readonly idleHoldSeconds?: number;
  /** RFC 9494: how long the peer may keep our routes; 0 or absent: not spoken. */
  readonly longLivedStaleSeconds?: number;
  /** RFC 7911, from our side. */
  readonly addPath?: Partial<Record<IpFamily, "receive" | "send" | "both">>;
  /** RFC 8654. Absent: true. */
  readonly extendedMessages?: boolean;
  /** RFC 8950: IPv4 routes with an IPv6 next hop. Absent: false. */
  readonly extendedNextHop?: boolean;
  /** Administratively down, with the words for the peer (RFC 9003). */
  readonly shutdown?: { readonly message: string };
}

/** RFC 5880: asynchronous mode. */
export interface BfdConfig {
  readonly minReceiveMs: number;
  readonly minTransmitMs: number;
  readonly multiplier: number;
  readonly multihop: boolean;
}

/** Whoever connects from `prefix` is a peer with this configuration; passive (dynamic neighbours). */
export interface DynamicPeers {
  readonly prefix: Prefix;
  readonly template: Omit<PeerConfig, "name" | "address" | "passive">;
  /** Most peers at once. */
  readonly limit: number;
}

/** What both sides agreed on by their OPENs. */
export interface Negotiated {
  readonly holdSeconds: number;
  readonly keepaliveSeconds: number;
  readonly families: readonly IpFamily[];
  readonly fourOctetAs: boolean;
  readonly routeRefresh: boolean;
  readonly peerRouterId: number;
  readonly peerAs: Asn;
  /** Our address and the peer's on this connection. */
  readonly localAddress: IpAddr;
  readonly peerAddress: IpAddr;
  /** Next hop "self" in a family that is not that of the connection; absent: there is none. */
  readonly otherLocalAddress?: IpAddr;
  /** RFC 4724: what the peer said; absent without the capability. */
  readonly gracefulRestart?: {
    readonly restarting: boolean;
    readonly restartSeconds: number;
    readonly forwardingKept: readonly IpFamily[];
    readonly families: readonly IpFamily[];
    /** Both sides said the N bit (RFC 8538). */
    readonly notification?: boolean;
  };
  /** RFC 9494: families that the peer keeps, and for how long; absent without the capability. */
  readonly longLivedGracefulRestart?: readonly {
    readonly family: IpFamily;
    readonly forwarding: boolean;
    readonly staleSeconds: number;
  }[];
  readonly extendedMessages?: boolean;
  readonly enhancedRouteRefresh?: boolean;
  /** RFC 7911: families in which the prefixes that we receive and send carry a path identifier. */
  readonly addPath?: { readonly receive: readonly IpFamily[]; readonly send: readonly IpFamily[] };
  readonly extendedNextHop?: boolean;
  /** What both sides said, to be shown. */
  readonly capabilities?: {
    readonly local: readonly Capability[];
    readonly remote: readonly Capability[];
  };
  /** Hold times that both sides said. */
  readonly offeredHoldSeconds?: { readonly local: number; readonly remote: number };
  /** TCP ports of this connection. */
  readonly ports?: { readonly local: number; readonly remote: number };
}

/** What the peers tell the speaker. `name` is PeerConfig.name. */
export type PeerEvent =
  | { readonly kind: "established"; readonly name: string; readonly negotiated: Negotiated }
  | { readonly kind: "update"; readonly name: string; readonly update: UpdateMessage }
  | { readonly kind: "refreshRequested"; readonly name: string; readonly family: IpFamily }
  /** BoRR and EoRR (RFC 7313). */
  | {
      readonly kind: "refreshMarker";
      readonly name: string;
      readonly family: IpFamily;
      readonly marker: "begin" | "end";
    }
  /** A dynamic neighbour connected; "removed" follows its last "down". */
  | { readonly kind: "dynamicAdded"; readonly config: PeerConfig; readonly prefix: Prefix }
  | { readonly kind: "dynamicRemoved"; readonly name: string }
  /** The queue of a peer whose `send` gave false is empty again. */
  | { readonly kind: "drained"; readonly name: string }
  /** `graceful`: the peer's routes may be kept as stale (RFC 4724 section 4.2). */
  | {
      readonly kind: "down";
      readonly name: string;
      readonly reason: string;
      readonly graceful: boolean;
    };

export interface PeerStatus {
  readonly name: string;
  readonly address: IpAddr;
  readonly state: FsmState;
  /** ISO time of the last change of state. */
  readonly since: string;
  readonly reason: string;
  readonly lastError?: string;
  /** While Established. */
  readonly negotiated?: Negotiated;
  readonly counters?: PeerCounters;
}

/** Messages and octets since the peer was configured, and how often it was Established. */
export interface PeerCounters {
  readonly received: MessageCounts;
  readonly sent: MessageCounts;
  readonly established: number;
  readonly queuedBytes: number;
  /** UPDATEs that were treated as withdraw (RFC 7606). */
  readonly treatedAsWithdraw: number;
  /** UPDATEs of which an attribute was discarded (RFC 7606). */
  readonly attributeDiscard: number;
}

export interface MessageCounts {
  readonly open: number;
  readonly update: number;
  readonly notification: number;
  readonly keepalive: number;
  readonly routeRefresh: number;
  readonly bytes: number;
}

/** All sessions of a speaker: the shell around the FSMs (TCP, timers). Made by peers-service.ts. */
export interface Peers {
  /** Starts, stops and changes only what differs from the configs before. */
  configure(configs: readonly PeerConfig[], dynamic?: readonly DynamicPeers[]): void;
  /**
   * Sends whole messages to an established peer. The same buffer may go to many peers: never
   * written to again. False when its queue is over the high-water mark (wait for the event
   * "drained"; these bytes were queued), or when the peer is not Established (dropped).
   */
  send(name: string, bytes: Uint8Array): boolean;
  /** Ends an established session by Cease with this subcode; it starts again by itself. */
  reset(name: string, subcode: number, message?: string): void;
  status(): readonly PeerStatus[];
}
