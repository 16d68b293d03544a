import { type IpAddr, ipFromBits } from "../../lib/ip-addr.ts";
import type { MetricsServerConfig } from "../../lib/metrics.ts";
import { prefixFamily } from "../../lib/prefix.ts";
import type { CollectorAddress } from "../bmp/collector.ts";
import { defaultPort } from "../config/bgp-nodes.ts";
import type { SpeakerPeer } from "../config/session.ts";
import type { OriginatedRoute, SpeakerConfig } from "../config/speaker-config.ts";
import { normalRoutePriority } from "../policy/export-attributes.ts";
import { defaultLocalPref } from "../policy/import-policy.ts";
import { defined } from "./defined.ts";
import { readSpeaker } from "./fields.ts";
import { readFilters } from "./file-filters.ts";
import { readNeighbor } from "./file-neighbors.ts";
import { checkOverlaps, type Listener } from "./overlaps.ts";
import type { Files } from "./password-file.ts";
import { openYaml, type Problem } from "./place.ts";
import type { Placed } from "./read.ts";
import type { OriginateValues, SpeakerValues } from "./values.ts";

/** What a speaker without a datastore is told to do. */
export interface SpeakerFile {
  readonly config: SpeakerConfig;
  /** Collectors of RFC 7854. */
  readonly bmp?: readonly CollectorAddress[];
  /** Files of RFC 6396; a relative name counts from the folder of the speaker's file. */
  readonly mrt?: { readonly messages?: string };
  /** Where Prometheus asks. */
  readonly metrics?: MetricsServerConfig;
}

/** That of Calico's BGP metrics. */
const defaultMetricsPort = 9900;

export type SpeakerFileResult =
  | { readonly file: SpeakerFile }
  | { readonly problems: readonly Problem[] };

/** Reads a speaker's file (docs/bgp-config.md). All of its mistakes are told at once, by line. */
export function readSpeakerFile(text: string, files: Files): SpeakerFileResult {
  const problems: Problem[] = [];
  const root = openYaml(text, problems);
  const values = problems.length > 0 ? undefined : readSpeaker(root);
  const file = values === undefined ? undefined : speakerFileOf(values, files);
  if (problems.length > 0 || file === undefined) {
    return { problems: problems.sort((a, b) => a.line - b.line) };
  }
  return { file };
}

function speakerFileOf(values: SpeakerValues, files: Files): SpeakerFile | undefined {
  const { neighbors = [], bmp = [], mrt, metrics } = values;
  const listeners = listenersOf(values);
  checkOverlaps(neighbors, listeners);
  const peers = peersOf(values, files);
  const originatedRoutes = originatedOf(values);
  const { asn, routerId } = values;
  if (asn === undefined || routerId === undefined) return undefined;
  const isReflector = neighbors.some(({ value }) => value.routeReflectorClient?.value === true);
  const clusterId = values.clusterId ?? (isReflector ? routerId : undefined);
  const [first] = listeners;
  const config: SpeakerConfig = {
    nodeName: ipFromBits(BigInt(routerId), 4),
    asn,
    routerId,
    listenPort: first?.port ?? defaultPort,
    listenAddresses:
      values.listen === undefined
        ? wildcards(peers)
        : listeners.map(({ address }) => address as IpAddr),
    ...peers,
    originated: [],
    originatedRoutes,
    ...kernelOf(values),
    ...nothingOfCalico,
    ...defined({ clusterId }),
  };
  const collectors = bmp.flatMap(({ address, port }) =>
    address === undefined || port === undefined ? [] : [{ address, port }],
  );
  return {
    config,
    ...(collectors.length > 0 && { bmp: collectors }),
    ...(mrt !== undefined && { mrt }),
    ...(metrics?.address !== undefined && {
      metrics: { address: metrics.address, port: metrics.port ?? defaultMetricsPort },
    }),
  };
}

/** Pools, blocks and services are the datastore's. */
const nothingOfCalico = {
  blocked: [],
  confirmedBlocks: [],
  pools: [],
  serviceRanges: [],
  reflectedServices: [],
  advertisements: {},
  programs: ["noEncap"],
  problems: [],
} as const;

function listenersOf({ listen = [] }: SpeakerValues): readonly Listener[] {
  const listeners: Listener[] = [];
  for (const { value, at } of listen) {
    const { address, port = defaultPort } = value;
    if (address === undefined) continue;
    const [first] = listeners;
    if (first !== undefined && first.port !== port) {
      at.wrong(`all must have one port, and the first has ${first.port}`, String(port));
    }
    if (listeners.some((each) => each.address === address)) {
      at.wrong("is in the list twice", address);
    }
    listeners.push({ address, port });
  }
  return listeners;
}

/** All addresses of each family in which there are neighbors. */
function wildcards({ peers, dynamicPeers }: Neighbors): readonly IpAddr[] {
  const has6 =
    peers.some(({ config }) => config.address.includes(":")) ||
    dynamicPeers.some(({ peers: { prefix } }) => prefixFamily(prefix) === 6);
  const has4 =
    peers.some(({ config }) => !config.address.includes(":")) ||
    dynamicPeers.some(({ peers: { prefix } }) => prefixFamily(prefix) === 4);
  return [...(has4 ? ["0.0.0.0" as IpAddr] : []), ...(has6 ? ["::" as IpAddr] : [])];
}

interface Neighbors {
  readonly peers: readonly SpeakerPeer[];
  readonly dynamicPeers: NonNullable<SpeakerConfig["dynamicPeers"]>;
}

function peersOf(values: SpeakerValues, files: Files): Neighbors {
  const { asn, routerId = 0, neighbors = [] } = values;
  const filters = readFilters(values);
  const clusterId = values.clusterId ?? routerId;
  const peers: SpeakerPeer[] = [];
  const dynamicPeers: Neighbors["dynamicPeers"][number][] = [];
  for (const neighbor of neighbors) {
    // Without our own AS the neighbor's own stands in, so that the rest is looked at.
    const own = asn ?? neighbor.value.asn;
    if (own === undefined) continue;
    const read = readNeighbor(neighbor, { asn: own, routerId, clusterId, filters, files });
    if (read === undefined) continue;
    if ("config" in read) peers.push(read);
    else dynamicPeers.push(read);
  }
  return { peers, dynamicPeers };
}

function originatedOf({ originate = [] }: SpeakerValues): readonly OriginatedRoute[] {
  const lines = new Map<string, Placed<unknown>>();
  return originate.flatMap((entry: OriginateValues) => {
    const { prefix, nextHop = "self", communities = [], med, localPref = defaultLocalPref } = entry;
    if (prefix === undefined) return [];
    const before = lines.get(prefix.value);
    if (before !== undefined) prefix.at.wrong(`is already on line ${before.at.line}`);
    lines.set(prefix.value, prefix);
    if (nextHop !== "self" && nextHop.includes(":") !== prefix.value.includes(":")) {
      prefix.at.wrong("nextHop must be of its family", nextHop);
    }
    return [{ prefix: prefix.value, nextHop, communities, localPref, ...defined({ med }) }];
  });
}

function kernelOf({ kernel = {} }: SpeakerValues) {
  const { install = false, table, metric = normalRoutePriority, maxPaths } = kernel;
  const normalPriority = { 4: metric, 6: metric };
  return { install, normalPriority, ...defined({ table, maxPaths }) };
}
