import { kinds } from "../../api/kinds.ts";
import { affinityName, cidrName, cidrOfName } from "../../api/names.ts";
import { keyOf, type ResourceKey } from "../../api/resource-key.ts";
import type { AnyResource, Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import { type Prefix, parsePrefix, prefixFamily } from "../../lib/prefix.ts";

/**
 * Calico's etcdv3 key layout (facts 2.7). A path names what it holds, so each converts to the other;
 * but not every name tells its path: a BlockAffinity's does not always tell node and block apart, and
 * an IPAMHandle's is its ID without capitals.
 */

const resourcesRoot = "/calico/resources/v3/projectcalico.org/";
const blocksRoot = "/calico/ipam/v2/assignment/";
const affinityRoots = { host: "/calico/ipam/v2/host/", virtual: "/calico/ipam/v2/virtual/" };
const handlesRoot = "/calico/ipam/v2/handle/";
const configPath = "/calico/ipam/v2/config";

/** Whom a block belongs to. */
export interface AffinityOwner {
  readonly node: string;
  readonly type: "host" | "virtual";
  readonly cidr: Prefix;
}

/** Keys from `start` up to, not including, `end`. */
export interface KeyRange {
  readonly start: string;
  readonly end: string;
}

/** What every path of a node's own affinities begins with. */
export function affinityPrefix(node: string): string {
  return `${affinityRoots.host}${node}/`;
}

/** What every path of a kind begins with, of one namespace if given; no prefix begins another. */
export function kindPrefixes(kind: Kind, namespace?: string): readonly string[] {
  switch (kind) {
    case "IPAMBlock":
      return [blocksRoot];
    case "BlockAffinity":
      return [affinityRoots.host, affinityRoots.virtual];
    case "IPAMHandle":
      return [handlesRoot];
    case "IPAMConfiguration":
      return [configPath];
    default: {
      const prefix = `${resourcesRoot}${kinds[kind].plural}/`;
      return [namespace === undefined ? prefix : `${prefix}${namespace}/`];
    }
  }
}

/** The keys that begin with `prefix`, which ends in ASCII. */
export function rangeOfPrefix(prefix: string): KeyRange {
  const last = prefix.charCodeAt(prefix.length - 1);
  return { start: prefix, end: prefix.slice(0, -1) + String.fromCharCode(last + 1) };
}

/**
 * One range that holds all paths of these kinds: one watch keeps their order. What else lies in it
 * has no key here. Status that Calico's daemons write lies outside.
 */
export function watchedRange(watched: readonly Kind[]): KeyRange {
  const ranges = watched.flatMap((kind) => kindPrefixes(kind)).map(rangeOfPrefix);
  const starts = ranges.map(({ start }) => start).toSorted();
  const ends = ranges.map(({ end }) => end).toSorted();
  const none = rangeOfPrefix(resourcesRoot);
  return { start: starts[0] ?? none.start, end: ends.at(-1) ?? none.end };
}

/** Path of a resource that is at hand whole. */
export function pathOfResource<K extends Kind>(resource: ResourceOfKind[K]): string {
  switch (resource.kind) {
    case "BlockAffinity": {
      const { node, type = "host", cidr } = resource.spec;
      return affinityPath({ node, type, cidr: parsePrefix(cidr) });
    }
    case "IPAMBlock":
      return blockPath(parsePrefix(resource.spec.cidr));
    case "IPAMHandle":
      return handlesRoot + resource.spec.handleID;
    case "IPAMConfiguration":
      return configPath;
    default: {
      const { kind, name, namespace } = keyOf(resource as AnyResource);
      return `${kindPrefixes(kind, namespace)[0]}${name}`;
    }
  }
}

/**
 * Paths that a key may mean, the likely one first. None when the name cannot be one of its kind.
 * More may be found by `otherPrefixesOfKey`.
 */
export function pathsOfKey({ kind, name, namespace }: ResourceKey): readonly string[] {
  switch (kind) {
    case "IPAMBlock": {
      const cidr = cidrOfName(name);
      return cidr === undefined ? [] : [blockPath(cidr)];
    }
    case "BlockAffinity":
      return affinityPaths(name);
    case "IPAMHandle":
      return [handlesRoot + name];
    case "IPAMConfiguration":
      return name === "default" ? [configPath] : [];
    default:
      return [`${kindPrefixes(kind, namespace)[0]}${name}`];
  }
}

/** Undefined for paths that hold nothing of ours to know. */
export function keyOfPath(path: string): ResourceKey | undefined {
  if (path === configPath) return { kind: "IPAMConfiguration", name: "default" };
  const handleID = handleOfPath(path);
  if (handleID !== undefined) return { kind: "IPAMHandle", name: handleID.toLowerCase() };
  const block = /^\/calico\/ipam\/v2\/assignment\/ipv[46]\/block\/([^/]+)$/.exec(path);
  if (block !== null) {
    const cidr = cidrOfSegment(block[1]);
    return cidr && { kind: "IPAMBlock", name: cidrName(cidr) };
  }
  const affinity = affinityOfPath(path);
  if (affinity !== undefined) {
    return { kind: "BlockAffinity", name: affinityName(affinity.node, affinity.cidr) };
  }
  return path.startsWith(resourcesRoot) ? keyOfResourcePath(path) : undefined;
}

/** Node and block of an affinity's path. */
export function affinityOfPath(path: string): AffinityOwner | undefined {
  const [, type, node = "", segment] =
    /^\/calico\/ipam\/v2\/(host|virtual)\/([^/]+)\/ipv[46]\/block\/([^/]+)$/.exec(path) ?? [];
  const cidr = cidrOfSegment(segment);
  return cidr && { node, type: type === "virtual" ? "virtual" : "host", cidr };
}

/** ID of a handle's path, in the case that it was given. */
export function handleOfPath(path: string): string | undefined {
  return path.startsWith(handlesRoot) ? path.slice(handlesRoot.length) || undefined : undefined;
}

/** Names of affinities from this length on may be cut and hashed (facts 2.3). */
const maybeHashedLength = 250;

/**
 * Where other paths of the same key may lie: keys under these prefixes are to be compared by `keyOfPath`.
 * Of a handle, a prefix for each letter of the name where the first capital of the ID may stand.
 */
export function otherPrefixesOfKey({ kind, name }: ResourceKey): readonly string[] {
  if (kind === "BlockAffinity" && name.length >= maybeHashedLength) return kindPrefixes(kind);
  if (kind !== "IPAMHandle") return [];
  const prefixes: string[] = [];
  for (let at = 0; at < name.length; at++) {
    const letter = name.charAt(at);
    if (letter < "a" || letter > "z") continue;
    prefixes.push(handlesRoot + name.slice(0, at) + letter.toUpperCase());
  }
  return prefixes;
}

const kindOfPlural = new Map<string, Kind>(
  Object.values(kinds)
    .filter(({ kind }) => kindPrefixes(kind)[0]?.startsWith(resourcesRoot))
    .map(({ kind, plural }) => [plural, kind]),
);

function keyOfResourcePath(path: string): ResourceKey | undefined {
  const [plural = "", ...names] = path.slice(resourcesRoot.length).split("/");
  const kind = kindOfPlural.get(plural);
  const [first = "", second] = names;
  if (kind === undefined || first === "") return undefined;
  if (!kinds[kind].namespaced) return names.length === 1 ? { kind, name: first } : undefined;
  return names.length === 2 && second ? { kind, namespace: first, name: second } : undefined;
}

function blockPath(cidr: Prefix): string {
  return `${blocksRoot}ipv${prefixFamily(cidr)}/block/${cidr.replace("/", "-")}`;
}

function affinityPath({ node, type, cidr }: AffinityOwner): string {
  const block = `ipv${prefixFamily(cidr)}/block/${cidr.replace("/", "-")}`;
  return `${affinityRoots[type]}${node}/${block}`;
}

/** "10.0.0.64-26" of a path. */
function cidrOfSegment(segment = ""): Prefix | undefined {
  if (!segment.includes("-")) return undefined;
  try {
    return parsePrefix(segment.replace("-", "/"));
  } catch {
    return undefined;
  }
}

/** A node's own affinities come first: virtual ones are rare. */
function affinityPaths(name: string): readonly string[] {
  const owners: { node: string; cidr: Prefix }[] = [];
  for (let at = name.indexOf("-"); at > 0; at = name.indexOf("-", at + 1)) {
    const cidr = cidrOfName(name.slice(at + 1));
    if (cidr !== undefined) owners.push({ node: name.slice(0, at), cidr });
  }
  return (["host", "virtual"] as const).flatMap((type) =>
    owners.map((owner) => affinityPath({ ...owner, type })),
  );
}
