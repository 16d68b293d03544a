import { calicoApiVersion } from "../../api/meta.ts";
import { affinityLabels } from "../../api/names.ts";
import type { Kind, ResourceOfKind } from "../../api/resource-of-kind.ts";
import { parseBigJson, stringifyBigJson } from "../../lib/big-json.ts";
import { parsePrefix, prefixFamily } from "../../lib/prefix.ts";
import { affinityOfPath, keyOfPath } from "./keys.ts";

/**
 * Values as Calico writes them to etcd (facts 2.7). Most are the v3 object as JSON; IPAM's have a form
 * of their own, and what the path tells is not told again. Fields that we do not know are kept.
 */

type Json = Record<string, unknown>;

/** The JSON text of a resource. */
export function etcdValue<K extends Kind>(resource: ResourceOfKind[K]): string {
  return stringifyBigJson(jsonOf(resource as ResourceOfKind[Kind]));
}

function jsonOf(resource: ResourceOfKind[Kind]): unknown {
  switch (resource.kind) {
    case "IPAMBlock":
      return renamed(resource.spec as unknown as Json, blockFields);
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
 * @throws {SyntaxError} when the value is not JSON.
 */
export function resourceOf(
  path: string,
  value: string,
  revision: string,
): ResourceOfKind[Kind] | undefined {
  const key = keyOfPath(path);
  if (key === undefined) return undefined;
  // Very old affinities are empty: confirmed, without saying so.
  const json = (value === "" ? {} : parseBigJson(value)) as Json;
  const ipam = <K extends Kind>(kind: K, spec: unknown, labels?: Record<string, string>) =>
    ({
      apiVersion: calicoApiVersion,
      kind,
      metadata: { name: key.name, resourceVersion: revision, ...(labels ? { labels } : {}) },
      spec,
    }) as unknown as ResourceOfKind[K];
  switch (key.kind) {
    case "IPAMBlock":
      return ipam("IPAMBlock", blockSpec(json));
    case "BlockAffinity": {
      const { node = "", cidr = parsePrefix("0.0.0.0/0") } = affinityOfPath(path) ?? {};
      const spec = { state: "", ...json, node, type: "host", cidr };
      return ipam("BlockAffinity", spec, { ...affinityLabels(node, "host", prefixFamily(cidr)) });
    }
    case "IPAMHandle":
      return ipam("IPAMHandle", {
        block: {},
        ...json,
        handleID: path.slice(path.lastIndexOf("/") + 1),
      });
    case "IPAMConfiguration":
      return ipam("IPAMConfiguration", renamed(json, inverse(configFields)));
    default: {
      const metadata = { ...(json["metadata"] as Json), resourceVersion: revision };
      return { ...json, kind: key.kind, metadata } as unknown as ResourceOfKind[Kind];
    }
  }
}

/** Sequence numbers are bigints whatever their size. */
function blockSpec(json: Json): Json {
  const spec = renamed(json, inverse(blockFields));
  const perAllocation = (spec["sequenceNumberForAllocation"] ?? {}) as Record<
    string,
    number | bigint
  >;
  return {
    ...spec,
    sequenceNumber: BigInt((spec["sequenceNumber"] ?? 0) as number | bigint),
    sequenceNumberForAllocation: Object.fromEntries(
      Object.entries(perAllocation).map(([ordinal, number]) => [ordinal, BigInt(number)]),
    ),
  };
}
