import type {
  BGPDaemonStatus,
  CalicoNodePeer,
  CalicoNodeRoute,
  CalicoNodeStatusSpec,
  CalicoNodeStatusStatus,
} from "../../api/resources/node-status.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { comparePrefixes, type Prefix } from "../../lib/prefix.ts";
import { dotted } from "../config/bgp-nodes.ts";
import type { PeerType } from "../config/session.ts";
import type { PeerStatus } from "../peer/peer.ts";
import { type ExplainedPath, why } from "./explain.ts";
import type { Speaker } from "./speaker.ts";

/** What a status is made of, besides the RIBs. */
export interface NodeStatusSource {
  readonly speaker: Speaker;
  readonly sessions: readonly PeerStatus[];
  readonly version: string;
  readonly startedAt: Date;
  /** When the present configuration was taken over. */
  readonly configuredAt: Date;
}

/** Routes of one family that a status tells: more do not fit into one object of a datastore. */
const maxRoutes = 1000;

/** What a CalicoNodeStatus asks for (facts 5.14). */
export function nodeStatus(
  { classes }: Pick<CalicoNodeStatusSpec, "classes">,
  source: NodeStatusSource,
  now: Date,
): CalicoNodeStatusStatus {
  return {
    lastUpdated: now.toISOString().replace(/\.\d+Z$/, "Z"),
    ...(classes.includes("Agent") ? { agent: agentOf(source) } : {}),
    ...(classes.includes("BGP") ? { bgp: sessionsOf(source) } : {}),
    ...(classes.includes("Routes") ? { routes: routesOf(source.speaker) } : {}),
  };
}

/** One daemon is both. */
function agentOf(source: NodeStatusSource): NonNullable<CalicoNodeStatusStatus["agent"]> {
  const { config } = source.speaker;
  const status: BGPDaemonStatus = {
    state: config === undefined ? "NotReady" : "Ready",
    version: source.version,
    routerID: config === undefined ? "" : dotted(config.routerId),
    lastBootTime: timeText(source.startedAt),
    lastReconfigurationTime: timeText(source.configuredAt),
  };
  return { birdV4: status, birdV6: status };
}

function sessionsOf({ speaker, sessions, startedAt }: NodeStatusSource) {
  const running = sessions.map(({ name, address, state, since }) => {
    const type = speaker.peers.get(name)?.peer.type;
    return { type, peerIP: address, state: String(state), since: timeText(new Date(since)) };
  });
  const blocked = (speaker.config?.blocked ?? []).map(({ type, address }) => ({
    type,
    peerIP: address,
    state: "Idle",
    since: timeText(startedAt),
  }));
  const all = [...running, ...blocked].flatMap(({ type, ...peer }): CalicoNodePeer[] =>
    isShown(type) ? [{ ...peer, type }] : [],
  );
  const peersV4 = all.filter(({ peerIP }) => !peerIP.includes(":"));
  const peersV6 = all.filter(({ peerIP }) => peerIP.includes(":"));
  const established = (peers: readonly CalicoNodePeer[]) =>
    peers.filter(({ state }) => state === "Established").length;
  return {
    numberEstablishedV4: established(peersV4),
    numberNotEstablishedV4: peersV4.length - established(peersV4),
    numberEstablishedV6: established(peersV6),
    numberNotEstablishedV6: peersV6.length - established(peersV6),
    ...(peersV4.length === 0 ? {} : { peersV4 }),
    ...(peersV6.length === 0 ? {} : { peersV6 }),
  };
}

/** Facts 5.20: readers know no other types. */
function isShown(type: PeerType | undefined): type is CalicoNodePeer["type"] {
  return type === "NodeMesh" || type === "NodePeer" || type === "GlobalPeer";
}

function routesOf(speaker: Speaker): NonNullable<CalicoNodeStatusStatus["routes"]> {
  const routesV4 = routesOfFamily(speaker, 4);
  const routesV6 = routesOfFamily(speaker, 6);
  return {
    ...(routesV4.length === 0 ? {} : { routesV4 }),
    ...(routesV6.length === 0 ? {} : { routesV6 }),
  };
}

/** All paths of the first prefixes. */
function routesOfFamily(speaker: Speaker, family: IpFamily): CalicoNodeRoute[] {
  const { table } = speaker.families[family].rib;
  const prefixes: Prefix[] = [];
  for (const id of table.ids()) {
    prefixes.push(table.prefixAt(id));
    if (prefixes.length === maxRoutes) break;
  }
  return prefixes
    .sort(comparePrefixes)
    .flatMap((prefix) =>
      (why(speaker, prefix)?.paths ?? []).map((path) => routeOf(speaker, prefix, path)),
    )
    .slice(0, maxRoutes);
}

function routeOf(speaker: Speaker, prefix: Prefix, path: ExplainedPath): CalicoNodeRoute {
  const type = path.verdict === "best" ? "FIB" : "RIB";
  if (path.peer === "local" || path.nextHop === undefined) {
    const learnedFrom = { sourceType: "Static" } as const;
    return { type, destination: prefix, gateway: "N/A", interface: "blackhole", learnedFrom };
  }
  const peer = speaker.peers.get(path.peer)?.peer;
  const link = speaker.forwarding.interfaceOf(path.nextHop);
  return {
    type,
    destination: prefix,
    gateway: path.nextHop,
    ...(link === undefined ? {} : { interface: link }),
    learnedFrom: {
      sourceType: peer?.type === "NodeMesh" ? "NodeMesh" : "BGPPeer",
      ...(peer === undefined ? {} : { peerIP: peer.config.address }),
    },
  };
}

/** As BIRD writes times: "2026-01-02 15:04:05". */
function timeText(date: Date): string {
  return date.toISOString().slice(0, 19).replace("T", " ");
}
