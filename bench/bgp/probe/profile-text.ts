/** The parts of a V8 CPU profile that are read here. */
export interface CpuProfile {
  /** Microseconds of the clock of process.hrtime. */
  readonly startTime: number;
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

/** A span of time, in microseconds of process.hrtime, and the processor time that was used in it. */
export interface Work {
  readonly workMs: number;
  readonly fromUs: number;
  readonly toUs: number;
}

const shownFunctions = 25;
const everything = { fromUs: Number.NEGATIVE_INFINITY, toUs: Number.POSITIVE_INFINITY };
/** What the probe itself takes is not of the row. */
const probeFolder = "bench/bgp/probe/";

/** Functions by their own time, then by the time with all that they called; of the longest work too. */
export function profileText(
  title: string,
  {
    profile,
    pauses,
    longest,
  }: {
    readonly profile: CpuProfile;
    readonly pauses: readonly GcPause[];
    readonly longest: Work;
  },
): string {
  const whole = timesOf(profile);
  const head = `${title}: ${whole.allMs.toFixed(0)} ms\n${gcText(pauses)}`;
  const work = `longest work between two timers: ${longest.workMs.toFixed(1)} ms of processor time`;
  return `${head}\n${timesText(whole)}\n${work}\n${timesText(timesOf(profile, longest))}`;
}

function timesText({ own, total, allMs }: Times): string {
  const section = (name: string, times: ReadonlyMap<string, number>) => {
    const lines = [...times]
      .sort(([, a], [, b]) => b - a)
      .slice(0, shownFunctions)
      .map(([frame, ms]) => `${ms.toFixed(1).padStart(9)} ms ${percent(ms, allMs)} ${frame}`);
    return `${name}\n${lines.join("\n")}\n`;
  };
  return `${section("self", own)}\n${section("total", total)}`;
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

interface Times {
  readonly own: ReadonlyMap<string, number>;
  readonly total: ReadonlyMap<string, number>;
  readonly allMs: number;
}

function timesOf(
  { startTime, nodes, samples, timeDeltas }: CpuProfile,
  { fromUs, toUs }: Pick<Work, "fromUs" | "toUs"> = everything,
): Times {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((c) => [c, id])));
  const ofProbe = idsBelow(nodes, probeFolder);
  const ownById = new Map<number, number>();
  let allMs = 0;
  let atUs = startTime;
  for (const [i, id] of samples.entries()) {
    const deltaUs = timeDeltas[i] ?? 0;
    atUs += deltaUs;
    if (ofProbe.has(id) || atUs < fromUs || atUs > toUs) continue;
    const ms = deltaUs / 1000;
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
