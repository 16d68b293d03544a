import type { Prefix } from "../../lib/prefix.ts";
import { dotted } from "../config/bgp-nodes.ts";
import type { PeerType } from "../config/session.ts";
import type { PeerStatus } from "../peer/peer.ts";
import { type ExplainedPath, why, whyNot } from "./explain.ts";
import type { Speaker } from "./speaker.ts";

/** What `status` answers: the shape is a contract with `lab status` and `node status`. */
export interface SpeakerStatus {
  readonly asn: number | null;
  readonly routerId: string | null;
  readonly converged: boolean;
  readonly peers: readonly {
    readonly name: string;
    readonly address: string;
    readonly type: PeerType;
    readonly state: string;
    /** ISO time of the last change of state. */
    readonly since: string;
    readonly reason: string;
    /** Paths that the peer has told. */
    readonly routes: number;
  }[];
  readonly routes: {
    readonly prefixes: number;
    readonly paths: number;
    readonly originated: readonly string[];
  };
  /** Objects of the datastore that cannot be used. */
  readonly problems: readonly string[];
}

/** What `rib PREFIX` answers: all paths, why each is not the best, and to whom the best is told. */
export interface RibAnswer {
  readonly prefix: string;
  readonly paths: readonly {
    /** Session name, or "local". */
    readonly peer: string;
    readonly nextHop: string | null;
    readonly asPath: string;
    readonly localPref: number | null;
    readonly stale: boolean;
    /** "best", "lost: STEP" of the decision process, or "rejected: REASON". */
    readonly verdict: string;
  }[];
  /** The kernel's route, or why it has none of us. */
  readonly kernel: string;
  /** Session name to the deciding step of export policy. */
  readonly exports: Readonly<Record<string, string>>;
}

export function speakerStatus(
  speaker: Speaker,
  sessions: readonly PeerStatus[],
  startedAt: string,
): SpeakerStatus {
  const { config } = speaker;
  const ribs = [speaker.families[4].rib, speaker.families[6].rib];
  const running = sessions.map((session) => {
    const state = speaker.peers.get(session.name);
    const routes = ribs.reduce(
      (sum, { adjIn }) => sum + (state === undefined ? 0 : adjIn.countOf(state.number)),
      0,
    );
    return { ...session, type: state?.peer.type ?? ("NodeMesh" as const), routes };
  });
  const blocked = (config?.blocked ?? []).map((peer) => ({
    ...peer,
    state: "Idle",
    since: startedAt,
    routes: 0,
  }));
  return {
    asn: config?.asn ?? null,
    routerId: config === undefined ? null : dotted(config.routerId),
    converged: speaker.converged,
    peers: [...running, ...blocked].map(
      ({ name, address, type, state, since, reason, routes }) => ({
        name,
        address,
        type,
        state,
        since,
        reason,
        routes,
      }),
    ),
    routes: {
      prefixes: ribs.reduce((sum, { loc }) => sum + loc.size, 0),
      paths: ribs.reduce((sum, { adjIn }) => sum + adjIn.size, 0),
      originated: config?.originated ?? [],
    },
    problems: config?.problems ?? [],
  };
}

/** Undefined when nobody has told of the prefix. */
export function explainPrefix(speaker: Speaker, prefix: Prefix): RibAnswer | undefined {
  const answer = why(speaker, prefix);
  if (answer === undefined) return undefined;
  const exports: Record<string, string> = {};
  for (const { peer, negotiated } of speaker.peers.all()) {
    const { name } = peer.config;
    if (negotiated === undefined) continue;
    const { told, because } = whyNot(speaker, prefix, name);
    exports[name] = `${told ? "accepted" : "rejected"}: ${because}`;
  }
  return { prefix, paths: answer.paths.map(pathText), kernel: answer.kernel, exports };
}

function pathText({ peer, nextHop, attributes, stale, verdict, by }: ExplainedPath) {
  return {
    peer,
    nextHop: nextHop ?? null,
    asPath: attributes.asPath.flatMap(({ asns }) => asns).join(" "),
    localPref: attributes.localPref ?? null,
    stale,
    verdict: verdict === "best" ? verdict : `${verdict === "equal" ? "lost" : verdict}: ${by}`,
  };
}
