import type { Asn } from "../../lib/asn.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import type { FsmState } from "../fsm/fsm.ts";
import type { UpdateMessage } from "../wire/message.ts";

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
  readonly holdSeconds: number;
  readonly keepaliveSeconds?: number;
  readonly connectRetrySeconds: number;
  readonly families: readonly IpFamily[];
  readonly gracefulRestartSeconds: number;
  /** The peer is our route reflector client (RFC 4456). */
  readonly reflectorClient?: { readonly clusterId: number };
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
  /** RFC 4724: what the peer said; absent without the capability. */
  readonly gracefulRestart?: {
    readonly restarting: boolean;
    readonly restartSeconds: number;
    readonly forwardingKept: readonly IpFamily[];
    readonly families: readonly IpFamily[];
  };
}

/** What the peers tell the speaker. `name` is PeerConfig.name. */
export type PeerEvent =
  | { readonly kind: "established"; readonly name: string; readonly negotiated: Negotiated }
  | { readonly kind: "update"; readonly name: string; readonly update: UpdateMessage }
  | { readonly kind: "refreshRequested"; readonly name: string; readonly family: IpFamily }
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
}

/** All sessions of a speaker: the shell around the FSMs (TCP, timers). Made by peers-service.ts. */
export interface Peers {
  /** Starts, stops and changes only what differs from the configs before. */
  configure(configs: readonly PeerConfig[]): void;
  /**
   * Sends whole messages to an established peer. The same buffer may go to many peers: never
   * written to again. False when its queue is over the high-water mark (wait for the event
   * "drained"; these bytes were queued), or when the peer is not Established (dropped).
   */
  send(name: string, bytes: Uint8Array): boolean;
  status(): readonly PeerStatus[];
}
