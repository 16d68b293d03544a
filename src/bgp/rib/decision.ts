/** What the decision process knows of one path. */
export interface Path {
  /** Number of the peer that told it; 0: originated here. */
  readonly peer: number;
  readonly attributesId: number;
  readonly local: boolean;
  /** It carries LLGR_STALE (RFC 9494). Absent: false. */
  readonly longLivedStale?: boolean;
  readonly localPref: number;
  readonly asPathLength: number;
  readonly origin: number;
  readonly med: number;
  /** 0 when the path has no AS. */
  readonly neighborAs: number;
  readonly learnedBy: "ebgp" | "ibgp";
  /** Distance to the next hop; 0 when it is directly connected. */
  readonly igpCost: number;
  /** ORIGINATOR_ID, else the peer's router ID (RFC 4456 section 9). */
  readonly routerId: number;
  readonly clusterListLength: number;
  /** Address of the peer, as a number. */
  readonly peerAddress: bigint;
  /** Path identifier that the peer gave it (RFC 7911). Absent: 0. */
  readonly pathId?: number;
}

/** Name of the step in which a path lost. */
export type LostBy =
  | "local"
  | "long-lived-stale"
  | "local-pref"
  | "as-path-length"
  | "origin"
  | "med"
  | "ebgp"
  | "igp-cost"
  | "router-id"
  | "cluster-list-length"
  | "peer-address"
  | "path-id";

export interface Decision {
  readonly best: Path | undefined;
  /** Paths as good as the best up to the step "igp-cost", the best among them: for ECMP. */
  readonly equal: readonly Path[];
  readonly lost: ReadonlyMap<Path, LostBy>;
}

interface DecisionStep {
  readonly name: LostBy;
  readonly rfc: string;
  readonly keep: (paths: readonly Path[]) => readonly Path[];
}

/**
 * Breaking ties, in order. RFC 4271 section 9.1.2.2 words each step as "remove from consideration",
 * so each step filters a set. A pairwise comparator cannot say this: MED compares only paths of one
 * neighbor AS and is not transitive.
 */
const decisionSteps: readonly DecisionStep[] = [
  { name: "local", rfc: "4271 9.1.1", keep: lowest((path) => (path.local ? 0 : 1)) },
  {
    name: "long-lived-stale",
    rfc: "9494 4.3",
    keep: lowest(({ longLivedStale }) => Number(longLivedStale === true)),
  },
  { name: "local-pref", rfc: "4271 9.1.1", keep: lowest((path) => -path.localPref) },
  { name: "as-path-length", rfc: "4271 9.1.2.2 a", keep: lowest((path) => path.asPathLength) },
  { name: "origin", rfc: "4271 9.1.2.2 b", keep: lowest((path) => path.origin) },
  { name: "med", rfc: "4271 9.1.2.2 c", keep: lowestMedPerNeighborAs },
  {
    name: "ebgp",
    rfc: "4271 9.1.2.2 d",
    keep: lowest(({ learnedBy }) => Number(learnedBy === "ibgp")),
  },
  { name: "igp-cost", rfc: "4271 9.1.2.2 e", keep: lowest((path) => path.igpCost) },
  { name: "router-id", rfc: "4271 9.1.2.2 f", keep: lowest((path) => path.routerId) },
  { name: "cluster-list-length", rfc: "4456 9", keep: lowest((path) => path.clusterListLength) },
  { name: "peer-address", rfc: "4271 9.1.2.2 g", keep: lowest((path) => path.peerAddress) },
  { name: "path-id", rfc: "7911 2", keep: lowest(({ pathId = 0 }) => pathId) },
];

/** Selects the best of the eligible paths to one prefix, and says why the others lost. */
export function decide(eligible: readonly Path[]): Decision {
  const lost = new Map<Path, LostBy>();
  let candidates = eligible;
  let equal = eligible;
  for (const { name, keep } of decisionSteps) {
    if (candidates.length <= 1) break;
    const survivors = new Set(keep(candidates));
    for (const path of candidates) if (!survivors.has(path)) lost.set(path, name);
    candidates = [...survivors];
    if (!tieBreakers.has(name)) equal = candidates;
  }
  return { best: candidates[0], equal, lost };
}

/** Steps that choose among paths over which packets may be spread. */
const tieBreakers: ReadonlySet<LostBy> = new Set([
  "router-id",
  "cluster-list-length",
  "peer-address",
  "path-id",
]);

/** The paths over which packets are spread: the best, then its equals, `maxPaths` in all. */
export function multipath({ best, equal }: Decision, maxPaths: number): readonly Path[] {
  if (best === undefined || equal.length <= 1) return equal;
  const others = ranked(equal.filter((path) => path !== best));
  return [best, ...others].slice(0, maxPaths);
}

/** All eligible paths of one prefix, best first. */
export function ranked(eligible: readonly Path[]): readonly Path[] {
  const order: Path[] = [];
  let left = eligible;
  for (let { best } = decide(left); best !== undefined; { best } = decide(left)) {
    const chosen = best;
    order.push(chosen);
    left = left.filter((path) => path !== chosen);
  }
  return order;
}

function lowest(rank: (path: Path) => number | bigint): DecisionStep["keep"] {
  return (paths) => {
    const kept: Path[] = [];
    let least: number | bigint | undefined;
    for (const path of paths) {
      const mine = rank(path);
      if (least !== undefined && mine > least) continue;
      if (mine !== least) kept.length = 0;
      least = mine;
      kept.push(path);
    }
    return kept;
  };
}

function lowestMedPerNeighborAs(paths: readonly Path[]): readonly Path[] {
  const least = new Map<number, number>();
  for (const { neighborAs, med } of paths) {
    least.set(neighborAs, Math.min(med, least.get(neighborAs) ?? med));
  }
  return paths.filter(({ neighborAs, med }) => med === least.get(neighborAs));
}
