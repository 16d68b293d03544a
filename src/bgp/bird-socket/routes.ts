import type { IpFamily } from "../../lib/ip-addr.ts";
import {
  type Prefix,
  prefixAddress,
  prefixFamily,
  prefixLength,
  prefixOf,
} from "../../lib/prefix.ts";
import { attributesView } from "../control/rib-rows.ts";
import { type ExplainedPath, why } from "../speaker/explain.ts";
import type { RunningSpeaker } from "../speaker/run-speaker.ts";
import type { FamilyState } from "../speaker/speaker.ts";
import type { RouteQuery } from "./command.ts";
import { type BirdLine, birdCode, endOfReply, lastLine } from "./reply.ts";
import { shortTime } from "./times.ts";

/** Prefixes that are looked at between two places where others may have their turn. */
const prefixesPerStep = 64;
/** Preferences of BIRD: of a static route and of one that a peer has told. */
const preference = { local: "200", peer: "100/0" };

/** All paths that may be used, of each prefix the best first; undefined: a good place to pause. */
export function* showRoute(
  running: RunningSpeaker,
  family: IpFamily,
  query: RouteQuery,
  now: Date,
): Generator<BirdLine | undefined> {
  const { speaker } = running;
  const unknown = [query.protocol, query.export].find(
    (name) => name !== undefined && speaker.peers.get(name) === undefined,
  );
  if (unknown !== undefined) {
    yield lastLine(birdCode.noProtocol, "No protocols match");
    return;
  }
  let [routes, networks] = [0, 0];
  for (const prefix of prefixesOf(speaker.families[family], query)) {
    if (prefix === undefined) {
      yield undefined;
      continue;
    }
    const paths = pathsOf(running, prefix, query);
    routes += paths.length;
    networks += Math.min(paths.length, 1);
    if (query.count !== true) yield* networkLines(running, prefix, { paths, query, now });
  }
  yield query.count === true ? countLine(routes, networks) : endLine(routes, query);
}

function countLine(routes: number, networks: number): BirdLine {
  return lastLine(birdCode.routeCount, `${routes} of ${routes} routes for ${networks} networks`);
}

function endLine(routes: number, { prefix, covering }: RouteQuery): BirdLine {
  const isOfOne = prefix !== undefined || covering !== undefined;
  return isOfOne && routes === 0 ? lastLine(birdCode.notFound, "Network not in table") : endOfReply;
}

function* prefixesOf(
  { rib }: FamilyState,
  { prefix, covering }: RouteQuery,
): Generator<Prefix | undefined> {
  if (prefix !== undefined || covering !== undefined) {
    const found = prefix ?? longestMatch(rib, covering as Prefix);
    if (found !== undefined && prefixFamily(found) === rib.family) yield found;
    return;
  }
  let seen = 0;
  for (const id of rib.table.ids()) {
    if (seen++ % prefixesPerStep === 0) yield undefined;
    yield rib.table.prefixAt(id);
  }
}

function longestMatch(
  { family, table, loc }: FamilyState["rib"],
  inner: Prefix,
): Prefix | undefined {
  if (prefixFamily(inner) !== family) return undefined;
  for (let length = prefixLength(inner); length >= 0; length--) {
    const outer = prefixOf(prefixAddress(inner), length);
    const id = table.findPrefix(outer);
    if (id >= 0 && loc.get(id) !== undefined) return outer;
  }
  return undefined;
}

function pathsOf(
  { speaker }: RunningSpeaker,
  prefix: Prefix,
  query: RouteQuery,
): readonly ExplainedPath[] {
  const { rib, groups } = speaker.families[prefixFamily(prefix)];
  const { paths = [] } = why(speaker, prefix) ?? {};
  const usable = paths
    .filter(({ verdict }) => verdict !== "rejected")
    .filter(({ peer }) => query.protocol === undefined || peer === query.protocol)
    .sort((a, b) => Number(b.verdict === "best") - Number(a.verdict === "best"));
  if (query.export === undefined) return query.primary === true ? usable.slice(0, 1) : usable;
  const number = speaker.peers.get(query.export)?.number ?? -1;
  const isTold = groups.announcedTo(number, rib.table.findPrefix(prefix)) !== undefined;
  return isTold ? usable.slice(0, 1) : [];
}

/** A line that gives no prefix is of the one before. */
function* networkLines(
  running: RunningSpeaker,
  prefix: Prefix,
  { paths, query, now }: { paths: readonly ExplainedPath[]; query: RouteQuery; now: Date },
): Generator<BirdLine> {
  const sessions = paths.length === 0 ? [] : running.host.status();
  for (const [index, path] of paths.entries()) {
    const dest = (index === 0 ? prefix : "").padEnd(18);
    const session = sessions.find(({ name }) => name === path.peer);
    const since = shortTime(new Date(session?.since ?? running.startedAt), now);
    const primary = path.verdict === "best" ? " *" : "";
    const source = path.peer === "local" ? "static1" : path.peer;
    const worth = path.peer === "local" ? `(${preference.local})` : bgpWorth(path);
    const text = `${dest} ${gatewayOf(running, path)} [${source} ${since}]${primary} ${worth}`;
    yield { code: birdCode.route, text };
    if (query.all === true) yield* attributeLines(path);
  }
}

function gatewayOf({ speaker }: RunningSpeaker, { peer, nextHop }: ExplainedPath): string {
  if (peer === "local") return "blackhole";
  if (nextHop === undefined) return "unreachable";
  const link = speaker.forwarding.interfaceOf(nextHop);
  return link === undefined ? `via ${nextHop}` : `via ${nextHop} on ${link}`;
}

/** "(100/0) [AS64513i]": preference and metric, the last AS of the path, the origin. */
function bgpWorth({ attributes }: ExplainedPath): string {
  const last = attributes.asPath.at(-1)?.asns.at(-1);
  const origin = ["i", "e", "?"][attributes.origin];
  return `(${preference.peer}) [${last === undefined ? "" : `AS${last}`}${origin}]`;
}

function* attributeLines({ peer, nextHop, attributes }: ExplainedPath): Generator<BirdLine> {
  const type = peer === "local" ? "static" : "BGP";
  yield { code: birdCode.routeDetail, text: `\tType: ${type} unicast univ` };
  const view = attributesView(attributes);
  const shown: readonly (readonly [string, unknown])[] = [
    ["origin", view.origin === "incomplete" ? "Incomplete" : view.origin],
    ["as_path", view.asPath],
    ["next_hop", nextHop],
    ["local_pref", view.localPref],
    ["med", view.med],
    ["community", view.communities?.join(" ")],
    ["originator_id", view.originatorId],
    ["cluster_list", view.clusterList?.join(" ")],
  ];
  for (const [name, value] of shown) {
    if (value === undefined) continue;
    yield { code: birdCode.attributes, text: `\tBGP.${name}: ${String(value)}` };
  }
}
