import type { KernelRoute } from "../../kernel/kernel.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import { type Prefix, prefixFamily } from "../../lib/prefix.ts";
import { exportText } from "../policy/export-policy.ts";
import { localPeer, type StoredPath } from "../rib/adj-rib-in.ts";
import type { Decision } from "../rib/decision.ts";
import type { Candidate } from "../rib/family-rib.ts";
import type { PathAttributes } from "../wire/message.ts";
import type { FamilyState, Speaker } from "./speaker.ts";
import type { PeerState } from "./speaker-peers.ts";

/** What a speaker does with a prefix, and why: for `why PREFIX`. */
export interface Why {
  readonly prefix: Prefix;
  readonly paths: readonly ExplainedPath[];
  /** The kernel's route, or "none: REASON". */
  readonly kernel: string;
}

export interface ExplainedPath {
  /** Session name, or "local". */
  readonly peer: string;
  readonly nextHop: IpAddr | undefined;
  /** As used by the decision: what import policy has set is in it. */
  readonly attributes: PathAttributes;
  readonly stale: boolean;
  /** "equal" is used beside the best, for ECMP. */
  readonly verdict: "best" | "equal" | "lost" | "rejected";
  /** The decision step that it lost at, or why import policy refused it. */
  readonly by?: string;
}

/** Whether a peer is told of a prefix, and what decided: for `why-not PREFIX --to PEER`. */
export interface WhyNot {
  readonly prefix: Prefix;
  readonly peer: string;
  readonly told: boolean;
  /** "peer not Established", "split horizon: learned from it", "export step own-block", ... */
  readonly because: string;
}

/** Undefined when nobody has told of the prefix. */
export function why(speaker: Speaker, prefix: Prefix): Why | undefined {
  const { rib } = speaker.families[prefixFamily(prefix)];
  const prefixId = rib.table.findPrefix(prefix);
  if (prefixId < 0) return undefined;
  const { forwarding } = speaker;
  const candidates = new Map<StoredPath, Candidate>();
  const decision = rib.decideOne(prefixId, (stored) => {
    const candidate = forwarding.judge(rib, prefixId, stored);
    candidates.set(stored, candidate);
    return candidate;
  });
  const paths = [...candidates].map((judged) => explainPath(speaker, judged, decision));
  const kernel = kernelText(forwarding.kernelRoute(rib, prefixId, decision));
  forwarding.endBatch();
  return { prefix, paths, kernel };
}

/** Always has an answer, also for a peer and a prefix that nobody knows. */
export function whyNot(speaker: Speaker, prefix: Prefix, peer: string): WhyNot {
  const answer = (because: string, told = false): WhyNot => ({ prefix, peer, told, because });
  const state = speaker.peers.get(peer);
  if (state === undefined) return answer("no such peer");
  const family = prefixFamily(prefix);
  if (state.negotiated === undefined) return answer("peer not Established");
  if (!state.negotiated.families.includes(family)) return answer("family not negotiated");
  const { told, because } = exportOf(speaker.families[family], prefix, state);
  return answer(because, told);
}

function exportOf(
  { rib, groups }: FamilyState,
  prefix: Prefix,
  { number }: PeerState,
): Pick<WhyNot, "told" | "because"> {
  const prefixId = rib.table.findPrefix(prefix);
  if (prefixId < 0) return { told: false, because: "no path" };
  const best = rib.loc.get(prefixId);
  const verdict = groups.explain(number, prefixId, best);
  if (verdict === undefined) return { told: false, because: "family not sent on this session" };
  if (verdict === "default-originate") return { told: true, because: "defaultOriginate" };
  if (verdict === "not-best") return { told: false, because: "not best: no path is usable" };
  if (best?.peer === number) return { told: false, because: "split horizon: learned from it" };
  return { told: verdict.accepted, because: exportText(verdict) };
}

function explainPath(
  speaker: Speaker,
  [stored, candidate]: readonly [StoredPath, Candidate],
  decision: Decision,
): ExplainedPath {
  const used = "path" in candidate ? candidate.path : stored;
  const { attributes, nextHop } = speaker.attributes.get(used.attributesId);
  const name = speaker.peers.numbered(stored.peer)?.peer.config.name;
  return {
    peer: stored.peer === localPeer ? "local" : (name ?? "unknown"),
    nextHop,
    attributes,
    stale: stored.stale,
    ...verdictOf(candidate, decision),
  };
}

function verdictOf(
  candidate: Candidate,
  { best, equal, lost }: Decision,
): Pick<ExplainedPath, "verdict" | "by"> {
  if ("rejected" in candidate) return { verdict: "rejected", by: candidate.rejected };
  const { path } = candidate;
  if (path === best) return { verdict: "best" };
  return { verdict: equal.includes(path) ? "equal" : "lost", by: lost.get(path) ?? "unknown" };
}

function kernelText(route: KernelRoute | string): string {
  if (typeof route === "string") return `none: ${route}`;
  if (route.kind !== "unicast") return route.kind;
  const hops = route.nextHops ?? [route];
  return hops.map(({ gateway, ifindex }) => `via ${gateway} ifindex ${ifindex}`).join(", ");
}
