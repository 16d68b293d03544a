import type { IpAddr, IpFamily } from "../lib/ip-addr.ts";

/** What carries a path's packets (docs/check-paths.md). */
export type Carrier =
  | "underlay"
  | "none"
  | "vxlan"
  | "vxlan-v6"
  | "ipip"
  | "ip6ip6"
  | "sit"
  | "udp"
  | "wireguard"
  | "wireguard-v6";

/** One way from this node to a peer. */
export interface Path {
  readonly carrier: Carrier;
  readonly family: IpFamily;
  readonly source: IpAddr;
  readonly destination: IpAddr;
  /** Absent: the kernel has no route. */
  readonly device?: string;
  /** Of the device, in octets; 0 without one. */
  readonly mtu: number;
}

/** A tunnel's device as one node sees its own. */
export interface TunnelState {
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  readonly vni?: number;
  readonly port?: number;
}

/** What a node says of itself when it is asked. */
export interface NodeState {
  /** Packets that its kernel dropped for a wrong checksum: UDP of both families, and TCP. */
  readonly checksumErrors: { readonly udp: number; readonly tcp: number };
  readonly tunnels: readonly TunnelState[];
}

/** What was seen of one path. */
export interface PathObservation {
  readonly path: Path;
  /** Small probes that were sent, and how many of them were answered. */
  readonly sent: number;
  readonly answered: number;
  /** How many of them the peer saw. Absent: it could not be asked, or was not. */
  readonly arrived?: number;
  /** Probes without checksum that the peer saw, of as many as `sent`. */
  readonly uncheckedArrived?: number;
  /** Wrong checksums that either kernel counted meanwhile. */
  readonly checksumErrors?: { readonly here: number; readonly there: number };
  readonly roundTripMs?: number;
  readonly mtu?: { readonly there: SizeLimit; readonly back?: SizeLimit };
  readonly megabitsPerSecond?: number;
  /** What this node's kernel said of the probes: "EPERM". */
  readonly error?: string;
}

/** IP packets up to `largest` octets passed, of `wanted`. */
export interface SizeLimit {
  readonly wanted: number;
  readonly largest: number;
  /** Somebody on the way said so (ICMP): TCP adapts to it. */
  readonly told?: true;
}

/** What was seen of one peer. */
export interface PeerObservation {
  readonly node: string;
  /** Of this node's question over the underlay. */
  readonly asked: "answered" | "refused" | "silent";
  /** Our own devices, and the peer's if it answered. */
  readonly tunnels: {
    readonly here: readonly TunnelState[];
    readonly there?: readonly TunnelState[];
  };
  readonly paths: readonly PathObservation[];
}
