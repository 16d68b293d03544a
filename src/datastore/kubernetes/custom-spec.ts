import type { Kind } from "../../api/resource-of-kind.ts";
import { withBigSequences } from "../stored-metadata.ts";
import type { ApiGroup } from "./collections.ts";

/**
 * Specs of IPAM's kinds as CRDs have them (facts 2.3, 2.7): they require fields that a resource of ours
 * leaves out when they say nothing.
 */

type Json = Record<string, unknown>;

/** Kinds that are deleted in two steps: the API server has no delete of exactly one version (facts 2.3). */
export const softDeletedKinds: ReadonlySet<Kind> = new Set([
  "BlockAffinity",
  "IPAMBlock",
  "IPAMHandle",
] satisfies Kind[]);

export function specToStore(kind: Kind, spec: Json, apiGroup: ApiGroup): Json {
  switch (kind) {
    case "IPAMBlock":
      return {
        ...spec,
        deleted: spec["deleted"] ?? false,
        strictAffinity: spec["strictAffinity"] ?? false,
      };
    case "BlockAffinity":
      return {
        ...spec,
        deleted:
          apiGroup === "crd.projectcalico.org/v1" ? String(isDeleted(spec)) : isDeleted(spec),
      };
    case "IPAMHandle":
      return { ...spec, deleted: spec["deleted"] ?? false };
    default:
      return spec;
  }
}

export function specOfStored(kind: Kind, spec: Json): Json {
  switch (kind) {
    case "IPAMBlock":
      return withBigSequences(without(spec, { deleted: false, strictAffinity: false }));
    case "BlockAffinity":
      return { ...spec, deleted: isDeleted(spec) };
    case "IPAMHandle":
      return { ...spec, block: spec["block"] ?? {} };
    default:
      return spec;
  }
}

/** Whether the first step of a deletion was taken. */
export function isDeleted(spec: Json): boolean {
  return spec["deleted"] === true || spec["deleted"] === "true";
}

function without(spec: Json, silent: Json): Json {
  return Object.fromEntries(
    Object.entries(spec).filter(([key, value]) => !(key in silent && silent[key] === value)),
  );
}
