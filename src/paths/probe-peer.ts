import { observePath, type PathDeps } from "./observe-path.ts";
import type { Path, PeerObservation } from "./path.ts";
import type { PathPeer } from "./peers.ts";
import { ProbeChannel } from "./probe-channel.ts";
import { maxAsked } from "./responder.ts";
import type { StateBody } from "./state-body.ts";

/** What is probed of one peer. */
export interface PeerPlan {
  readonly peer: PathPeer;
  readonly paths: readonly Path[];
}

const askTries = 3;
const askWaitMs = 1000;

/** Probes all paths to one peer, one after the other. Ends early when `signal` aborts. */
export async function probePeer(
  { peer, paths }: PeerPlan,
  deps: Omit<PathDeps, "askPeer">,
  signal: AbortSignal,
): Promise<PeerObservation> {
  const here = (await deps.ownState()).tunnels;
  const nobody = { node: peer.name, asked: "silent" as const, tunnels: { here }, paths: [] };
  const { line, state, refused } = await openLine(paths, deps);
  try {
    if (state === undefined && refused) return { ...nobody, asked: "refused" };
    // Who says nothing is not asked again and again.
    const askPeer = async (numbers: readonly number[]) =>
      line === undefined ? undefined : ask(line, numbers);
    const observed = [];
    for (const path of paths) {
      if (signal.aborted) break;
      observed.push(await observePath(path, { ...deps, askPeer }));
    }
    const tunnels = { here, ...(state?.tunnels && { there: state.tunnels }) };
    const asked = state === undefined ? ("silent" as const) : ("answered" as const);
    return { node: peer.name, asked, tunnels, paths: observed };
  } finally {
    line?.close();
  }
}

/** By which the peer can be asked: the first of its own addresses that answers. */
async function openLine(
  paths: readonly Path[],
  { port, conversation, clock }: Pick<PathDeps, "port" | "conversation" | "clock">,
): Promise<{
  readonly line?: ProbeChannel;
  readonly state?: StateBody;
  readonly refused: boolean;
}> {
  let refused = false;
  for (const { carrier, source, destination, device } of paths) {
    if (carrier !== "underlay" || device === undefined) continue;
    let line: ProbeChannel | undefined;
    try {
      line = await ProbeChannel.open({ source, destination, port }, conversation, clock);
      const state = await ask(line, []);
      if (state !== undefined) return { line, state, refused };
      refused ||= line.errors.has("ECONNREFUSED");
    } catch {
      // No address, no route: the path's own probes say so.
    }
    line?.close();
  }
  return { refused };
}

async function ask(line: ProbeChannel, numbers: readonly number[]): Promise<StateBody | undefined> {
  const first = numbers[0] ?? 0;
  const count = Math.min(maxAsked, numbers.length === 0 ? 0 : (numbers.at(-1) ?? 0) - first + 1);
  for (let i = 0; i < askTries; i++) {
    const state = await line.ask({ first, count }, askWaitMs);
    if (state !== undefined) return state;
    if (line.errors.has("ECONNREFUSED")) return undefined;
  }
  return undefined;
}
