import { calicoApiVersion } from "../../api/meta.ts";
import { affinityLabels } from "../../api/names.ts";
import type { ResourceKey } from "../../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import { parseBigJson, stringifyBigJson } from "../../lib/big-json.ts";
import { prefixFamily } from "../../lib/prefix.ts";
import { withBigSequences } from "../stored-metadata.ts";
import { affinityOfPath, handleOfPath, keyOfPath } from "./keys.ts";

/**
 * Values as Calico writes them to etcd (facts 2.7). Most are the v3 object as JSON; IPAM's have a form
 * of their own without metadata, and what the path tells is not told again. Fields that we do not know
 * are kept.
 */

type Json = Record<string, unknown>;

/** The JSON text of a resource. */
export function textOfResource<K extends Kind>(resource: ResourceOfKind[K]): string {
  return stringifyBigJson(jsonOf(resource as ResourceOfKind[Kind]));
}

function jsonOf(resource: ResourceOfKind[Kind]): unknown {
  switch (resource.kind) {
    case "IPAMBlock":
      return { deleted: false, ...renamed(resource.spec as unknown as Json, blockFields) };
    case "BlockAffinity": {
      const { node: _node, cidr: _cidr, type: _type, ...spec } = resource.spec;
      return { ...spec, deleted: spec.deleted ?? false };
    }
    case "IPAMHandle": {
      const { handleID: _handle, ...spec } = resource.spec;
      return { ...spec, deleted: spec.deleted ?? false };
    }
    case "IPAMConfiguration":
      return renamed(resource.spec as Json, configFields);
    default: {
      const { resourceVersion: _version, ...metadata } = resource.metadata;
      return { ...resource, metadata };
    }
  }
}

/** Our field names to etcd's. */
const blockFields: Readonly<Record<string, string>> = { affinityClaimTime: "affinity_claim_time" };
const configFields: Readonly<Record<string, string>> = {
  strictAffinity: "strict_affinity",
  autoAllocateBlocks: "auto_allocate_blocks",
};

function renamed(fields: Json, names: Readonly<Record<string, string>>): Json {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [names[key] ?? key, value]),
  );
}

function inverse(names: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(names).map(([ours, theirs]) => [theirs, ours]));
}

/**
 * The resource of a path and its value; undefined for a path that holds no resource.
 *
 * @throws {SyntaxError} when the value is no JSON object.
 */
export function resourceOf(
  path: string,
  value: string,
  revision: string,
): ResourceOfKind[Kind] | undefined {
  const key = keyOfPath(path);
  if (key === undefined) return undefined;
  const json = parseObject(path, value);
  const resource = ipamResourceOf(key, path, json) ?? v3ResourceOf(key, json);
  const metadata = { ...resource.metadata, resourceVersion: revision };
  return { ...resource, metadata } as ResourceOfKind[Kind];
}

/** A key and its value, as etcd tells them. */
export interface KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly mod_revision: string;
}

/** Undefined for what is not ours; a value that cannot be read is passed over like an absent one. */
export function decode({ key, value, mod_revision }: KeyValue): ResourceOfKind[Kind] | undefined {
  try {
    return resourceOf(key.toString(), value.toString(), mod_revision);
  } catch {
    return undefined;
  }
}

/** That a block is not deleted is said in etcd, and in a resource by silence. */
function withoutNotDeleted(json: Json): Json {
  const { deleted, ...rest } = json;
  return deleted === false ? rest : json;
}

/** Very old blocks name a host and no type of owner. */
function withTypedAffinity(json: Json): Json {
  const { hostAffinity, ...rest } = json;
  if (typeof hostAffinity !== "string") return json;
  return { affinity: `host:${hostAffinity}`, ...rest };
}

function parseObject(path: string, value: string): Json {
  // Very old affinities are empty: confirmed, without saying so.
  if (value === "") return {};
  const json = parseBigJson(value);
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Json;
  throw new SyntaxError(`Cannot read ${path}: its value is no JSON object`);
}

/** What the path tells of kind and name wins over the value. */
function v3ResourceOf({ kind, name, namespace }: ResourceKey, json: Json): ResourceOfKind[Kind] {
  const own = namespace === undefined ? { name } : { name, namespace };
  const metadata = { ...(json["metadata"] as Json), ...own };
  return { ...json, kind, metadata } as unknown as ResourceOfKind[Kind];
}

/** Undefined for a kind that is not IPAM's. */
function ipamResourceOf(
  { kind, name }: ResourceKey,
  path: string,
  json: Json,
): ResourceOfKind[Kind] | undefined {
  const resource = (spec: Json, labels?: Record<string, string>) =>
    ({
      apiVersion: calicoApiVersion,
      kind,
      metadata: labels === undefined ? { name } : { name, labels },
      spec,
    }) as unknown as ResourceOfKind[Kind];
  switch (kind) {
    case "IPAMBlock":
      return resource(
        withBigSequences(renamed(withTypedAffinity(withoutNotDeleted(json)), inverse(blockFields))),
      );
    case "BlockAffinity": {
      const owner = affinityOfPath(path);
      if (owner === undefined) return undefined;
      const { node, type, cidr } = owner;
      const labels = affinityLabels(node, type, prefixFamily(cidr));
      return resource({ state: "", ...json, node, type, cidr }, labels);
    }
    case "IPAMHandle":
      return resource({ block: {}, ...json, handleID: handleOfPath(path) });
    case "IPAMConfiguration":
      return resource(renamed(json, inverse(configFields)));
    default:
      return undefined;
  }
}
