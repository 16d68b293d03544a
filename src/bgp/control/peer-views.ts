import { InputError } from "../../lib/errors.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { dotted } from "../config/bgp-nodes.ts";
import type { Negotiated, PeerConfig, PeerCounters, PeerStatus } from "../peer/peer.ts";
import type { PeerPolicy } from "../policy/peer-policy.ts";
import type { RunningSpeaker } from "../speaker/run-speaker.ts";

/** A line of `tortie bgp peers`. */
export interface PeerRow {
  readonly name: string;
  readonly address: string;
  readonly asn: number | null;
  readonly type: string;
  readonly state: string;
  /** ISO time of the last change of state. */
  readonly since: string;
  readonly reason: string;
  /** Paths that the peer has told, and prefixes that it is told. */
  readonly received: number;
  readonly sent: number;
  /** What made it: "BGPPeer rack1", "mesh", "neighbors[2]". */
  readonly origin: string | null;
  readonly description: string | null;
  readonly lastError: string | null;
}

export function* peerRows({ speaker, host, startedAt }: RunningSpeaker): Generator<PeerRow> {
  const families = [speaker.families[4], speaker.families[6]];
  for (const { name, address, state, since, reason, lastError = null } of host.status()) {
    const known = speaker.peers.get(name);
    const { origin = null, description = null } = known?.peer ?? {};
    const number = known?.number ?? -1;
    yield {
      name,
      address,
      asn: known?.peer.config.remoteAs ?? null,
      type: known?.peer.type ?? "unknown",
      state,
      since,
      reason,
      received: families.reduce((sum, { rib }) => sum + rib.adjIn.countOf(number), 0),
      sent: families.reduce((sum, { groups }) => sum + groups.announcedCount(number), 0),
      origin,
      description,
      lastError,
    };
  }
  for (const { name, address, type, reason, origin = null } of speaker.config?.blocked ?? []) {
    const rest = { state: "Idle", since: startedAt, reason, received: 0, sent: 0 };
    const unknown = { asn: null, description: null, lastError: null };
    yield { name, address, type, ...rest, origin, ...unknown };
  }
}

/** All that is known of one peer, without its password. */
export interface PeerDetail extends PeerRow {
  readonly negotiated: NegotiatedView | null;
  readonly counters: PeerCounters | null;
  readonly config: Partial<Omit<PeerConfig, "password">> & { readonly hasPassword: boolean };
  readonly policy: PeerPolicy | null;
}

export interface NegotiatedView extends Omit<Negotiated, "peerRouterId" | "families"> {
  readonly peerRouterId: string;
  readonly families: readonly string[];
}

export function peerDetail(running: RunningSpeaker, name: string): PeerDetail {
  const row = [...peerRows(running)].find((peer) => peer.name === name);
  if (row === undefined) throw new InputError(`Cannot find peer "${name}": see tortie bgp peers`);
  const { speaker, host } = running;
  const status = host.status().find((peer) => peer.name === name);
  const known = speaker.peers.get(name)?.peer;
  const { password, ...session }: Partial<PeerConfig> = known?.config ?? {};
  return {
    ...row,
    negotiated: negotiatedView(status),
    counters: status?.counters ?? null,
    config: { ...session, hasPassword: password !== undefined },
    policy: known?.policy ?? null,
  };
}

function negotiatedView(status: PeerStatus | undefined): NegotiatedView | null {
  if (status?.negotiated === undefined) return null;
  const { peerRouterId, families, ...rest } = status.negotiated;
  const names: Readonly<Record<IpFamily, string>> = { 4: "ipv4-unicast", 6: "ipv6-unicast" };
  return {
    ...rest,
    peerRouterId: dotted(peerRouterId),
    families: families.map((family) => names[family]),
  };
}
