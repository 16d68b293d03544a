import type { Clock } from "../lib/clock.ts";
import { errorMessage } from "../lib/errors.ts";
import { smallLength } from "./datagram.ts";
import { slowMegabits } from "./findings.ts";
import { largestSize } from "./largest-size.ts";
import type { NodeState, Path, PathObservation, SizeLimit } from "./path.ts";
import {
  type Conversation,
  ProbeChannel,
  type ProbeResult,
  type ProbeSize,
} from "./probe-channel.ts";
import type { StateBody } from "./state-body.ts";

/** Headers of IP and UDP. */
const headers = { 4: 28, 6: 48 } as const;

const smallProbes = 3;
const waitMs = 700;
/** Of the last try before something counts as lost. */
const lastWaitMs = 1500;

export interface PathDeps {
  readonly clock: Clock;
  readonly port: number;
  readonly conversation: Conversation;
  /** What this node says of itself. */
  ownState(): Promise<NodeState>;
  /** What the peer says of itself and of these probes; undefined: it cannot be asked. */
  askPeer(numbers: readonly number[]): Promise<StateBody | undefined>;
  /** Megabits a second of a short transfer; undefined: there was none, or it failed. */
  transfer?(path: Path): Promise<number | undefined>;
}

type HasErrors = Pick<NodeState, "checksumErrors">;

const small: ProbeSize = { length: smallLength, answerLength: smallLength };

/** Probes one path as far as makes sense (docs/check-paths.md, "What is probed"). */
export async function observePath(path: Path, deps: PathDeps): Promise<PathObservation> {
  const none = { path, sent: 0, answered: 0 };
  if (path.device === undefined) return none;
  let channel: ProbeChannel | undefined;
  try {
    channel = await openChannel(path, deps);
    const before = { here: await deps.ownState(), there: await deps.askPeer([]) };
    const probes = await sendSmall(channel, smallProbes);
    const seen = { ...none, sent: probes.length, ...errorOf(channel) };
    const first = probes.find(({ answered }) => answered);
    if (first === undefined)
      return { ...seen, ...(await observeSilence(path, probes, before, deps)) };
    const { roundTripMs } = first;
    const mtu = await observeSizes(path, channel);
    // A transfer would only wait for what vanishes.
    const isSound = [mtu.there, mtu.back].every((limit) => limit?.largest === limit?.wanted);
    const speed = isSound ? await speedOf(path, deps) : undefined;
    const megabitsPerSecond = speed === undefined ? {} : { megabitsPerSecond: speed };
    return { ...seen, answered: 1, roundTripMs, mtu, ...megabitsPerSecond, ...errorOf(channel) };
  } catch (error) {
    return { ...none, error: errorMessage(error) };
  } finally {
    channel?.close();
  }
}

/** Of a transfer that is slow, the better of two: something else may have been under way. */
async function speedOf(path: Path, { transfer }: PathDeps): Promise<number | undefined> {
  const first = await transfer?.(path);
  if (first === undefined || first >= slowMegabits) return first;
  return Math.max(first, (await transfer?.(path)) ?? 0);
}

function openChannel(
  { source, destination }: Path,
  { port, conversation, clock }: PathDeps,
  how: { readonly withoutChecksum?: true } = {},
): Promise<ProbeChannel> {
  return ProbeChannel.open({ source, destination, port, ...how }, conversation, clock);
}

/** The kernel's first word, if it said any. */
function errorOf(channel: ProbeChannel): { readonly error?: string } {
  const [error] = channel.errors;
  return error === undefined ? {} : { error };
}

/** Until one is answered. */
async function sendSmall(channel: ProbeChannel, count: number): Promise<ProbeResult[]> {
  const results: ProbeResult[] = [];
  for (let i = 0; i < count; i++) {
    const result = await channel.probe(small, i === count - 1 ? lastWaitMs : waitMs);
    results.push(result);
    if (result.answered) break;
  }
  return results;
}

/** Which way the probes were lost, and whether for their checksums. */
async function observeSilence(
  path: Path,
  probes: readonly ProbeResult[],
  before: { readonly here: NodeState; readonly there: StateBody | undefined },
  deps: PathDeps,
): Promise<Partial<PathObservation>> {
  const there = await deps.askPeer(probes.map(({ number }) => number));
  if (there === undefined || before.there === undefined) return {};
  const here = await deps.ownState();
  const errors = (now: HasErrors, then: HasErrors) =>
    now.checksumErrors.udp - then.checksumErrors.udp;
  const unchecked = await openChannel(path, deps, { withoutChecksum: true });
  try {
    const sending = Array.from({ length: smallProbes }, () => unchecked.probe(small, waitMs));
    const more = await Promise.all(sending);
    const arrived = await deps.askPeer(more.map(({ number }) => number));
    return {
      arrived: there.arrived.length,
      checksumErrors: { here: errors(here, before.here), there: errors(there, before.there) },
      ...(arrived === undefined ? {} : { uncheckedArrived: arrived.arrived.length }),
    };
  } finally {
    unchecked.close();
  }
}

/** The largest packets that pass there, and if all do, the largest that come back. */
async function observeSizes(
  { family, mtu: wanted }: Path,
  channel: ProbeChannel,
): Promise<NonNullable<PathObservation["mtu"]>> {
  const least = smallLength + headers[family];
  // Twice: what is lost by chance says nothing of its size.
  const passes = async (there: number, back: number, wait = waitMs) => {
    const size = { length: there - headers[family], answerLength: back - headers[family] };
    const results = await Promise.all([channel.probe(size, wait), channel.probe(size, wait)]);
    return results.some(({ answered }) => answered);
  };
  if (wanted <= least || (await passes(wanted, wanted))) {
    return { there: { wanted, largest: wanted }, back: { wanted, largest: wanted } };
  }
  const limit = async (passesAt: (size: number, wait?: number) => Promise<boolean>) => {
    if (await passesAt(wanted)) return { wanted, largest: wanted };
    const largest = await largestSize({ low: least, high: wanted }, async (sizes) => {
      const passed = await Promise.all(sizes.map((size) => passesAt(size)));
      return sizes.filter((_size, i) => passed[i]);
    });
    // A loss must repeat before it counts.
    const isSound = await passesAt(wanted, lastWaitMs);
    const told = channel.errors.has("EMSGSIZE") ? { told: true as const } : {};
    return { wanted, largest: isSound ? wanted : largest, ...told } satisfies SizeLimit;
  };
  const there = await limit((size, wait) => passes(size, least, wait));
  if (there.largest < wanted) return { there };
  return { there, back: await limit((size, wait) => passes(wanted, size, wait)) };
}
