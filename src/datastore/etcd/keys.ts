import { kinds } from "../../api/kinds.ts";
import { affinityName, cidrName } from "../../api/names.ts";
import type { ResourceKey } from "../../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import { type Prefix, parsePrefix, prefixFamily } from "../../lib/prefix.ts";

/**
 * Calico's etcdv3 key layout (facts 2.7). A path names what it holds, so each converts to the other;
 * but a BlockAffinity's name does not always tell node and block apart.
 */

export const root = "/calico/";
const resourcesRoot = "/calico/resources/v3/projectcalico.org/";
const blocksRoot = "/calico/ipam/v2/assignment/";
const hostsRoot = "/calico/ipam/v2/host/";
const handlesRoot = "/calico/ipam/v2/handle/";
const configPath = "/calico/ipam/v2/config";

/** What every path of a kind begins with; of one namespace, if given. */
export function kindPrefix(kind: Kind, namespace?: string): string {
  switch (kind) {
    case "IPAMBlock":
      return blocksRoot;
    case "BlockAffinity":
      return hostsRoot;
    case "IPAMHandle":
      return handlesRoot;
    case "IPAMConfiguration":
      return configPath;
    default: {
      const prefix = `${resourcesRoot}${kinds[kind].plural}/`;
      return namespace === undefined ? prefix : `${prefix}${namespace}/`;
    }
  }
}

/** Path of a resource that is at hand whole. */
export function pathOfResource<K extends Kind>(resource: ResourceOfKind[K]): string {
  if (resource.kind === "BlockAffinity") {
    return affinityPath(resource.spec.node, parsePrefix(resource.spec.cidr));
  }
  if (resource.kind === "IPAMHandle") return handlesRoot + resource.spec.handleID;
  const { name, namespace } = resource.metadata;
  return (
    pathsOfKey(
      namespace === undefined
        ? { kind: resource.kind, name }
        : { kind: resource.kind, name, namespace },
    )[0] ?? ""
  );
}

/**
 * Paths that a key may mean: one, but for BlockAffinities of nodes whose names look like the beginning
 * of a block. None when the name cannot be one of its kind.
 */
export function pathsOfKey({ kind, name, namespace }: ResourceKey): string[] {
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
      return [configPath];
    default:
      return [kindPrefix(kind, namespace) + name];
  }
}

/** Undefined for paths that hold nothing of ours to know. */
export function keyOfPath(path: string): ResourceKey | undefined {
  if (path === configPath) return { kind: "IPAMConfiguration", name: "default" };
  if (path.startsWith(handlesRoot)) {
    return { kind: "IPAMHandle", name: path.slice(handlesRoot.length).toLowerCase() };
  }
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

const kindOfPlural = new Map<string, Kind>(
  (Object.keys(kinds) as Kind[]).map((kind) => [kinds[kind].plural, kind]),
);

function keyOfResourcePath(path: string): ResourceKey | undefined {
  const [plural = "", ...names] = path.slice(resourcesRoot.length).split("/");
  const kind = kindOfPlural.get(plural);
  const [first = "", second] = names;
  if (kind === undefined || first === "") return undefined;
  if (!kinds[kind].namespaced) return names.length === 1 ? { kind, name: first } : undefined;
  return names.length === 2 && second ? { kind, namespace: first, name: second } : undefined;
}

/** Node and block of an affinity's path. */
export function affinityOfPath(path: string): { node: string; cidr: Prefix } | undefined {
  const [, node = "", segment] =
    /^\/calico\/ipam\/v2\/host\/([^/]+)\/ipv[46]\/block\/([^/]+)$/.exec(path) ?? [];
  const cidr = cidrOfSegment(segment);
  return cidr && { node, cidr };
}

function blockPath(cidr: Prefix): string {
  return `${blocksRoot}ipv${prefixFamily(cidr)}/block/${cidr.replace("/", "-")}`;
}

function affinityPath(node: string, cidr: Prefix): string {
  return `${hostsRoot}${node}/ipv${prefixFamily(cidr)}/block/${cidr.replace("/", "-")}`;
}

/** "10.0.0.64-26" of a path. */
function cidrOfSegment(segment = ""): Prefix | undefined {
  try {
    return parsePrefix(segment.replace("-", "/"));
  } catch {
    return undefined;
  }
}

/** "10-0-0-64-26" of a name (facts B 20). */
function cidrOfName(name: string): Prefix | undefined {
  const at = name.lastIndexOf("-");
  const [address, length] = [name.slice(0, at), name.slice(at + 1)];
  const separator = /^\d+-\d+-\d+-\d+$/.test(address) ? "." : ":";
  try {
    const cidr = parsePrefix(`${address.replaceAll("-", separator)}/${length}`);
    return cidrName(cidr) === name ? cidr : undefined;
  } catch {
    return undefined;
  }
}

function affinityPaths(name: string): string[] {
  const paths: string[] = [];
  for (let at = name.indexOf("-"); at > 0; at = name.indexOf("-", at + 1)) {
    const cidr = cidrOfName(name.slice(at + 1));
    if (cidr !== undefined) paths.push(affinityPath(name.slice(0, at), cidr));
  }
  return paths;
}
