/** The parts of a V8 CPU profile that are read here. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** Node of each sample, and the microseconds before it. */
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
  readonly children?: readonly number[];
}

/** One pause of garbage collection, in ms. */
export interface GcPause {
  readonly kind: string;
  readonly ms: number;
}

const shownFunctions = 25;
/** What the probe itself takes is not of the row. */
const probeFolder = "bench/bgp/probe/";

/** Functions by their own time, then by the time with all that they called. */
export function profileText(
  title: string,
  profile: CpuProfile,
  pauses: readonly GcPause[],
): string {
  const { own, total, allMs } = timesOf(profile);
  const section = (name: string, times: ReadonlyMap<string, number>) => {
    const lines = [...times]
      .sort(([, a], [, b]) => b - a)
      .slice(0, shownFunctions)
      .map(([frame, ms]) => `${ms.toFixed(1).padStart(9)} ms ${percent(ms, allMs)} ${frame}`);
    return `${name}\n${lines.join("\n")}\n`;
  };
  const head = `${title}: ${allMs.toFixed(0)} ms\n${gcText(pauses)}`;
  return `${head}\n${section("self", own)}\n${section("total", total)}`;
}

function gcText(pauses: readonly GcPause[]): string {
  return [...Map.groupBy(pauses, ({ kind }) => kind)]
    .map(([kind, group]) => {
      const all = group.reduce((sum, { ms }) => sum + ms, 0);
      const longest = Math.max(...group.map(({ ms }) => ms));
      return `${kind}: ${group.length} pauses, ${all.toFixed(1)} ms, longest ${longest.toFixed(1)} ms\n`;
    })
    .join("");
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / Math.max(whole, 1e-9)).toFixed(1).padStart(5)} %`;
}

function timesOf({ nodes, samples, timeDeltas }: CpuProfile): {
  readonly own: ReadonlyMap<string, number>;
  readonly total: ReadonlyMap<string, number>;
  readonly allMs: number;
} {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((c) => [c, id])));
  const ofProbe = idsBelow(nodes, probeFolder);
  const ownById = new Map<number, number>();
  let allMs = 0;
  for (const [i, id] of samples.entries()) {
    if (ofProbe.has(id)) continue;
    const ms = (timeDeltas[i] ?? 0) / 1000;
    allMs += ms;
    ownById.set(id, (ownById.get(id) ?? 0) + ms);
  }
  const own = new Map<string, number>();
  const total = new Map<string, number>();
  for (const [id, ms] of ownById) {
    add(own, frameOf(byId.get(id)), ms);
    // A function that calls itself counts once.
    const frames = new Set<string>();
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      frames.add(frameOf(byId.get(at)));
    }
    for (const frame of frames) add(total, frame, ms);
  }
  return { own, total, allMs };
}

/** Nodes of a folder's functions and of all that they called. Callers come before what they call. */
function idsBelow(nodes: readonly ProfileNode[], folder: string): ReadonlySet<number> {
  const ids = new Set<number>();
  for (const { id, callFrame, children = [] } of nodes) {
    if (callFrame.url.includes(folder)) ids.add(id);
    if (ids.has(id)) for (const child of children) ids.add(child);
  }
  return ids;
}

function add(times: Map<string, number>, frame: string, ms: number): void {
  times.set(frame, (times.get(frame) ?? 0) + ms);
}

function frameOf(node: ProfileNode | undefined): string {
  if (node === undefined) return "(unknown)";
  const { functionName, url, lineNumber } = node.callFrame;
  const file = url.replace(/^.*\/(?=(src|bench)\/)/, "");
  return `${functionName || "(anonymous)"}${file === "" ? "" : ` ${file}:${lineNumber + 1}`}`;
}
