import type { Clock } from "../../lib/clock.ts";
import { InputError } from "../../lib/errors.ts";
import type { LogTail } from "../../lib/log-tail.ts";
import { type Prefix, parsePrefix } from "../../lib/prefix.ts";
import { tableDump } from "../mrt/table-dump.ts";
import { type ExplainedPath, why, whyNot } from "../speaker/explain.ts";
import type { RunningSpeaker } from "../speaker/run-speaker.ts";
import type { Speaker } from "../speaker/speaker.ts";
import { explainPrefix, speakerStatus } from "../speaker/status.ts";
import { encodeRouteRefresh } from "../wire/route-refresh.ts";
import { mrtRows } from "./mrt-rows.ts";
import { peerDetail, peerRows } from "./peer-views.ts";
import { type ControlRequest, cursorText, parseCursor } from "./protocol.ts";
import { type AttributesView, attributesView, type RibCursor, ribRows } from "./rib-rows.ts";

export interface AnswerSources {
  readonly running: RunningSpeaker;
  readonly tail: LogTail;
  readonly clock: Pick<Clock, "date">;
}

/** Rows, made while they are sent; undefined is a good place to pause. Then those that still come. */
export interface Answer {
  readonly rows: Iterable<unknown>;
  /** Once all rows are made: where the next page begins. */
  readonly cursor?: () => string | undefined;
  readonly follow?: (signal: AbortSignal) => AsyncIterable<unknown>;
}

/** Answers one request, or does what it asks. @throws {InputError} */
export function answer(request: ControlRequest, { running, tail, clock }: AnswerSources): Answer {
  const { speaker } = running;
  switch (request.request) {
    case "status":
      return { rows: [speakerStatus(speaker, running.host.status(), running.startedAt)] };
    case "peers":
      return { rows: peerRows(running) };
    case "peer":
      return { rows: [peerDetail(running, request.name)] };
    case "rib":
      return ribAnswer(speaker, request);
    case "why":
      return { rows: [whyView(speaker, request.prefix)] };
    case "why-not":
      return { rows: [whyNot(speaker, request.prefix, request.to)] };
    case "refresh":
      return { rows: [refresh(running, request)] };
    case "shutdown":
      return { rows: [setShutdown(running, request.name, request.message)] };
    case "start":
      return { rows: [setShutdown(running, request.name, undefined)] };
    case "dump":
      return { rows: mrtRows(tableDump(speaker, clock.date())) };
    case "log":
      return request.follow
        ? { rows: tail.last(), follow: (signal) => tail.follow(signal) }
        : { rows: tail.last() };
  }
}

function ribAnswer(
  speaker: Speaker,
  { cursor, ...query }: Extract<ControlRequest, { request: "rib" }>,
): Answer {
  const from = cursor === undefined ? {} : { cursor: parseCursor(cursor) };
  let next: RibCursor | undefined;
  const rows = function* () {
    next = yield* ribRows(speaker, { ...query, ...from });
  };
  return { rows: rows(), cursor: () => (next === undefined ? undefined : cursorText(next)) };
}

/** What `lab status` asks: "status", or "rib PREFIX". @throws {InputError} */
export function answerPlain(request: string, { running }: AnswerSources): unknown {
  const { speaker, host, startedAt } = running;
  const [verb, argument = ""] = request.split(" ");
  if (verb === "status") return speakerStatus(speaker, host.status(), startedAt);
  if (verb === "rib") {
    const prefix = parsePrefix(argument);
    return explainPrefix(speaker, prefix) ?? { prefix, paths: [], kernel: "none", exports: {} };
  }
  throw new InputError(`Cannot answer "${request}": ask for status, or rib PREFIX`);
}

/** Every path to a prefix with what became of it. */
export interface WhyView {
  readonly prefix: Prefix;
  readonly paths: readonly (AttributesView &
    Pick<ExplainedPath, "peer" | "stale" | "verdict" | "by"> & {
      readonly nextHop: string | null;
    })[];
  /** The kernel's route, or "none: REASON". */
  readonly kernel: string;
}

function whyView(speaker: Speaker, prefix: Prefix): WhyView {
  const { paths, kernel } = why(speaker, prefix) ?? { paths: [], kernel: "none: no path" };
  return {
    prefix,
    paths: paths.map(({ attributes, nextHop = null, ...path }) => ({
      ...path,
      nextHop,
      ...attributesView(attributes),
    })),
    kernel,
  };
}

function refresh(
  { speaker, host }: RunningSpeaker,
  { name, direction }: Extract<ControlRequest, { request: "refresh" }>,
) {
  const negotiated = speaker.peers.get(name)?.negotiated;
  if (negotiated === undefined) {
    throw new InputError(`Cannot refresh "${name}": no session with it is Established`);
  }
  const { families, routeRefresh } = negotiated;
  if (direction !== "out") {
    if (!routeRefresh) throw new InputError(`Cannot ask "${name}": it takes no ROUTE-REFRESH`);
    for (const family of families) host.send(name, encodeRouteRefresh(family));
  }
  if (direction !== "in") {
    for (const family of families) {
      host.post({ kind: "peer", event: { kind: "refreshRequested", name, family } });
    }
  }
  return { name, refreshed: direction ?? "both", families };
}

function setShutdown({ speaker, host }: RunningSpeaker, name: string, message: string | undefined) {
  const peer = speaker.peers.get(name)?.peer;
  if (peer === undefined) throw new InputError(`Cannot find peer "${name}": see tortie bgp peers`);
  if (peer.type === "Dynamic") {
    throw new InputError(`Cannot shut down "${name}": it is one of a prefix, change the file`);
  }
  host.setShutdown(name, message);
  return { name, shutdown: message !== undefined };
}
