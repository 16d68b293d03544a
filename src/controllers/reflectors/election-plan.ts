import type { ElectionSettings } from "../../api/elected-reflectors.ts";
import { type Sessions, uncoveredMs, whyIncomplete } from "./coverage.ts";
import { chosenReflectors } from "./elect.ts";
import type { ElectionNode, ElectionView } from "./election-view.ts";

/** What the view alone does not say: all times are those since the controller saw it. */
export interface ElectionTimes extends Sessions {
  /** Since our last change. */
  readonly quietMs: number;
  /** Since the mesh was seen to be on. */
  readonly meshOnMs: number;
  /** Since reflectors failed and the mesh took their place. */
  readonly fellBackMs: number;
  /** Nodes that were elected, and were of no use. */
  readonly unfit: ReadonlySet<string>;
}

export type ElectionAction =
  | { readonly kind: "writePeer" }
  | { readonly kind: "deletePeer" }
  | { readonly kind: "elect"; readonly node: string; readonly clusterId: string }
  | { readonly kind: "retire"; readonly node: string }
  | { readonly kind: "meshOff" }
  | { readonly kind: "meshOn" };

export type ElectionPhase =
  /** Nobody asks for reflectors, and there are none. */
  | "off"
  /** The mesh, because the cluster is small. */
  | "mesh"
  /** Reflectors are there beside the mesh. */
  | "electing"
  /** Reflectors instead of the mesh. */
  | "reflectors"
  /** Another reflector is to take one's place. */
  | "moving"
  /** The mesh comes back. */
  | "returning"
  /** Somebody must decide. */
  | "blocked";

export interface ElectionPlan {
  readonly phase: ElectionPhase;
  /** Why so, or what is waited for; "" when there is nothing to say. */
  readonly reason: string;
  readonly actions: readonly ElectionAction[];
}

/** Elected nodes have told of a change of ours after this long. */
const settleMs = 10_000;
/** Sessions of the mesh are there after this long; nodes keep routes for twice as long (RFC 4724). */
const meshSettleMs = 60_000;
/** Reflectors that have failed are not trusted again at once. */
const holdMs = 300_000;

/**
 * What is to be done next so that a cluster has the reflectors that it is to have. Whatever fails in between, each
 * pair of nodes has the mesh or a common reflector: what is new comes first, and what it replaces goes when every
 * living node has a session with everything that is new.
 */
export function electionPlan(view: ElectionView, times: ElectionTimes): ElectionPlan {
  const failure = view.mesh === "off by us" ? failureOf(view, times) : "";
  if (failure !== "") return does("returning", failure, [{ kind: "meshOn" }]);
  if (view.problem !== "") return waits("blocked", view.problem);
  const isActive = hasOurs(view);
  if (view.settings === undefined && !isActive) return waits("off", "");
  if (view.mesh === "off") {
    return waits(
      "blocked",
      "somebody else has switched the mesh off: nodeToNodeMeshEnabled is false",
    );
  }
  const unwanted = whyUnwanted(view.settings, view.nodes.length, isActive);
  if (view.settings === undefined || unwanted !== "") return returning(view, times, unwanted);
  const conflict = conflictOf(view);
  if (conflict !== "") return waits("blocked", conflict);
  return advancing(view, view.settings, times);
}

/** Something of ours is there. */
export function hasOurs({ nodes, peer, mesh }: ElectionView): boolean {
  return (
    nodes.some(({ isElected }) => isElected) ||
    peer === "ours" ||
    peer === "changed" ||
    mesh === "off by us" ||
    mesh === "marked"
  );
}

/** Why the mesh must come back at once; "" while every living node has a reflector. */
function failureOf({ nodes }: ElectionView, { reports, uncovered }: ElectionTimes): string {
  const isAnyAlive = [...reports.values()].some(({ isAlive }) => isAlive);
  if (!isAnyAlive) return "no reflector lives";
  const lost = nodes.filter(
    ({ name, isDrained }) => !isDrained && (uncovered.get(name) ?? 0) >= uncoveredMs,
  );
  const [first] = lost;
  if (first === undefined) return "";
  const others = lost.length === 1 ? "" : ` (and ${lost.length - 1} more)`;
  return `${first.name}${others} has had no session with any reflector for ${uncoveredMs / 1000} s`;
}

function whyUnwanted(
  settings: ElectionSettings | undefined,
  count: number,
  isActive: boolean,
): string {
  if (settings === undefined) return "nobody asks for reflectors any more";
  const least = isActive ? settings.meshBelow : settings.from;
  return count < least ? `there are ${count} nodes: reflectors come with ${settings.from}` : "";
}

/** What people have made that would be in our way. */
function conflictOf({ nodes, peer, mesh }: ElectionView): string {
  if (mesh === "marked") {
    return "somebody has switched the mesh on: take the annotation tortie.dev/mesh-off away to go on";
  }
  if (peer === "foreign")
    return "somebody else has a BGPPeer of the name tortie-elected-reflectors";
  const foreign = nodes.find(({ isForeign }) => isForeign);
  if (foreign !== undefined) {
    return `somebody else has made ${foreign.name} a route reflector: routeReflectorClusterID`;
  }
  const [first] = nodes;
  const other = nodes.find(({ asn }) => asn !== first?.asn);
  return other === undefined
    ? ""
    : `${other.name} is in AS ${other.asn}, ${first?.name} in AS ${first?.asn}: reflectors serve one AS`;
}

function returning(view: ElectionView, times: ElectionTimes, reason: string): ElectionPlan {
  const elected = electedOf(view);
  if (view.mesh === "off by us") return does("returning", reason, [{ kind: "meshOn" }]);
  if (elected.length > 0) {
    if (times.meshOnMs < meshSettleMs) {
      return waits("returning", `${reason}; the mesh has its sessions in a moment`);
    }
    return does(
      "returning",
      reason,
      elected.map(({ name }) => ({ kind: "retire", node: name })),
    );
  }
  if (view.peer === "ours" || view.peer === "changed") {
    if (times.quietMs < settleMs) return waits("returning", reason);
    return does("returning", reason, [{ kind: "deletePeer" }]);
  }
  if (view.mesh === "marked") return does("returning", reason, [{ kind: "meshOn" }]);
  return waits(view.settings === undefined ? "off" : "mesh", reason);
}

function advancing(
  view: ElectionView,
  settings: ElectionSettings,
  times: ElectionTimes,
): ElectionPlan {
  const phase = view.mesh === "off by us" ? "moving" : "electing";
  const chosen = chosenReflectors(view.nodes, settings.perZone, times.unfit);
  if (chosen.size === 0) return waits("blocked", "no node can be a reflector");
  if (view.peer !== "ours") return does(phase, "", [{ kind: "writePeer" }]);
  const elected = electedOf(view);
  const isThere = new Set(elected.map(({ name }) => name));
  const missing = view.nodes.filter(({ name }) => chosen.has(name) && !isThere.has(name));
  if (missing.length > 0) {
    const actions = missing.map(
      ({ name: node, clusterId }) => ({ kind: "elect", node, clusterId }) as const,
    );
    return does(phase, `${missing.map(({ name }) => name).join(", ")}: elected`, actions);
  }
  const leaving = elected.filter(({ name }) => !chosen.has(name));
  if (view.mesh === "off by us" && leaving.length === 0) {
    const [lost] = times.uncovered.keys();
    return waits("reflectors", lost === undefined ? "" : `${lost} has no session with a reflector`);
  }
  if (times.quietMs < settleMs) return waits(phase, "a change is being taken over");
  const reasons = [...chosen].map((name) => whyIncomplete(name, view.nodes, times));
  const incomplete = reasons.find((reason) => reason !== "");
  if (incomplete !== undefined) return waits(phase, incomplete);
  if (leaving.length > 0) {
    const names = leaving.map(({ name }) => name);
    const actions = names.map((node) => ({ kind: "retire" as const, node }));
    return does(phase, `${names.join(", ")}: others have taken over`, actions);
  }
  if (times.fellBackMs < holdMs) return waits(phase, "reflectors have failed a short while ago");
  return does("reflectors", "every session is established", [{ kind: "meshOff" }]);
}

function electedOf({ nodes }: ElectionView): ElectionNode[] {
  return nodes.filter(({ isElected }) => isElected);
}

function waits(phase: ElectionPhase, reason: string): ElectionPlan {
  return { phase, reason, actions: [] };
}

function does(
  phase: ElectionPhase,
  reason: string,
  actions: readonly ElectionAction[],
): ElectionPlan {
  return { phase, reason, actions };
}
