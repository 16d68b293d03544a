import type { PeerType } from "../../../../src/bgp/config/session.ts";
import type { SpeakerConfig } from "../../../../src/bgp/config/speaker-config.ts";
import type { PeerConfig } from "../../../../src/bgp/peer/peer.ts";
import type { PeerPolicy } from "../../../../src/bgp/policy/peer-policy.ts";
import { type Asn, parseAsn } from "../../../../src/lib/asn.ts";
import { type IpAddr, ipBits, parseIpAddr } from "../../../../src/lib/ip-addr.ts";

export interface PlainPeer {
  readonly address: string;
  readonly asn: number;
  readonly client?: boolean;
  readonly policy?: Partial<PeerPolicy>;
  readonly config?: Partial<PeerConfig>;
  /** Default: Static. */
  readonly type?: PeerType;
}

/** A speaker that no cluster has told what to do: its router ID is its address. */
export function plainSpeaker(
  own: { readonly address: string; readonly asn: number },
  neighbors: readonly PlainPeer[],
  more: Partial<SpeakerConfig> = {},
): SpeakerConfig {
  const address = parseIpAddr(own.address);
  const asn = parseAsn(own.asn);
  const routerId = Number(ipBits(address));
  return {
    nodeName: own.address,
    asn,
    routerId,
    listenPort: 179,
    listenAddresses: [address],
    peers: neighbors.map((neighbor) => ({
      type: neighbor.type ?? "Static",
      config: plainPeer(neighbor, { address, asn, routerId }),
      policy: { nextHopMode: "Auto", allowedLocalAs: 0, exportScope: "all", ...neighbor.policy },
    })),
    blocked: [],
    originated: [],
    confirmedBlocks: [],
    pools: [],
    serviceRanges: [],
    reflectedServices: [],
    advertisements: {},
    normalPriority: { 4: 1024, 6: 1024 },
    programs: ["noEncap"],
    problems: [],
    ...more,
  };
}

export function plainPeer(
  { address, asn, client = false, config = {} }: PlainPeer,
  own: { readonly address: IpAddr; readonly asn: Asn; readonly routerId: number },
): PeerConfig {
  return {
    name: `Static_${address.replaceAll(/[.:]/g, "_")}`,
    address: parseIpAddr(address),
    port: 179,
    remoteAs: parseAsn(asn),
    localAs: own.asn,
    localRouterId: own.routerId,
    localAddress: own.address,
    passive: false,
    holdSeconds: 90,
    connectRetrySeconds: 5,
    families: [4],
    gracefulRestartSeconds: 120,
    ...(client ? { reflectorClient: { clusterId: own.routerId } } : {}),
    ...config,
  };
}
