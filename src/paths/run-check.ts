import { createHash, randomBytes } from "node:crypto";
import type { Kernel } from "../kernel/kernel.ts";
import type { Clock } from "../lib/clock.ts";
import { type Finding, findingsOf } from "./findings.ts";
import type { PathKeys } from "./keys.ts";
import type { NodeState, Path, PeerObservation } from "./path.ts";
import type { PathPeer, PeerBook } from "./peers.ts";
import { planPeer } from "./plan.ts";
import { type PeerPlan, probePeer } from "./probe-peer.ts";
import { samplePeers } from "./sample.ts";
import { transfer } from "./transfer.ts";

/** What is asked of one run. */
export interface CheckRequest {
  /** Absent: a sample. */
  readonly nodes?: readonly string[];
  /** Of the sample; absent: as configured. */
  readonly samplePeers?: number;
  readonly throughput: boolean;
  /** Only plan. */
  readonly dryRun: boolean;
}

/** What became of a run. */
export interface PathReport {
  readonly node: string;
  /** RFC 3339. */
  readonly began: string;
  readonly seconds: number;
  /** Of a dry run alone. */
  readonly plan?: readonly { readonly node: string; readonly paths: readonly Path[] }[];
  readonly peers: readonly PeerObservation[];
  /** Nodes that were not probed, and why. */
  readonly skipped: readonly { readonly node: string; readonly reason: string }[];
  readonly findings: readonly Finding[];
}

export interface RunDeps {
  readonly self: string;
  readonly port: number;
  readonly samplePeers: number;
  readonly peers: PeerBook;
  readonly keys: PathKeys;
  readonly kernel: Pick<Kernel, "links" | "routes">;
  readonly clock: Clock;
  ownState(): Promise<NodeState>;
}

const peersAtATime = 4;
const runMs = 120_000;

/**
 * One run: plans, probes some peers at a time, and says what is wrong. `turn` counts the runs.
 *
 * @throws what `outer` aborts with: what was seen until then is no answer.
 */
export async function runCheck(
  request: CheckRequest,
  turn: number,
  deps: RunDeps,
  outer: AbortSignal,
): Promise<PathReport> {
  outer.throwIfAborted();
  const { clock, self, peers: book, kernel } = deps;
  const began = clock.now();
  const head = { node: self, began: clock.date().toISOString() };
  const { own } = book;
  if (own === undefined) {
    return {
      ...head,
      seconds: 0,
      peers: [],
      skipped: [{ node: self, reason: "this node is not in the datastore" }],
      findings: [],
    };
  }
  const { chosen, skipped } = choose(request, turn, own, deps);
  const plans = await Promise.all(chosen.map((peer) => planPeer(own, peer, kernel)));
  if (request.dryRun) {
    const plan = plans.map(({ peer, paths }) => ({ node: peer.name, paths }));
    return { ...head, seconds: 0, plan, peers: [], skipped, findings: [] };
  }
  const run = randomBytes(8).toString("hex");
  const ended = new AbortController();
  const stopTimer = clock.setTimer(runMs, () => ended.abort());
  const signal = AbortSignal.any([outer, ended.signal]);
  const observed = await someAtATime(plans, (plan) =>
    signal.aborted ? undefined : probeOne(plan, { ...deps, run, ...request }, signal),
  );
  stopTimer();
  outer.throwIfAborted();
  const peers = observed.filter((peer) => peer !== undefined);
  const missed = plans
    .filter((_plan, i) => observed[i] === undefined)
    .map(({ peer }) => ({ node: peer.name, reason: missedFor(peer, deps) }));
  return {
    ...head,
    seconds: (clock.now() - began) / 1000,
    peers,
    skipped: [...skipped, ...missed],
    findings: peers.flatMap((peer) => findingsOf(self, peer, deps.port)),
  };
}

function choose(
  { nodes, samplePeers: count }: CheckRequest,
  turn: number,
  own: PathPeer,
  { peers: book, samplePeers: configured, self }: RunDeps,
): { readonly chosen: readonly PathPeer[]; readonly skipped: PathReport["skipped"] } {
  if (nodes === undefined) {
    const able = book.others.filter(({ publicKey }) => publicKey !== undefined);
    const start = createHash("sha256").update(self).digest().readUInt32BE(0) / 2 ** 32;
    const chosen = samplePeers(own, able, { count: count ?? configured, turn, start });
    return { chosen, skipped: [] };
  }
  const chosen: PathPeer[] = [];
  const skipped: { node: string; reason: string }[] = [];
  for (const node of new Set(nodes)) {
    const peer = book.other(node);
    if (peer?.publicKey !== undefined) chosen.push(peer);
    else skipped.push({ node, reason: reasonFor(node, peer, self) });
  }
  return { chosen, skipped };
}

function reasonFor(node: string, peer: PathPeer | undefined, self: string): string {
  if (node === self) return "it is this node";
  return peer === undefined ? "there is no such node" : "pathChecks is not Enabled there";
}

function missedFor({ publicKey = "" }: PathPeer, { keys }: RunDeps): string {
  const isKey = keys.sharedWith(publicKey) !== undefined;
  return isKey ? "there was no time" : "its path check key is none";
}

function probeOne(
  plan: PeerPlan,
  deps: RunDeps & { readonly run: string; readonly throughput: boolean },
  signal: AbortSignal,
): Promise<PeerObservation> | undefined {
  const { keys, self, run, port, clock, ownState, throughput } = deps;
  const key = keys.sharedWith(plan.peer.publicKey ?? "");
  if (key === undefined) return undefined;
  let number = 0;
  const conversation = { self, peer: plan.peer.name, key, run, nextNumber: () => number++ };
  const send = (path: Path) => transfer(path, { port, conversation, clock });
  const probing = { clock, port, conversation, ownState };
  return probePeer(plan, throughput ? { ...probing, transfer: send } : probing, signal);
}

async function someAtATime<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result> | undefined,
): Promise<(Result | undefined)[]> {
  const results: (Result | undefined)[] = [];
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) {
      results[i] = await work(items[i] as Item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(peersAtATime, items.length) }, worker));
  return items.map((_item, i) => results[i]);
}
