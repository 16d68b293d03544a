import type { AsPathSegment, PathAttributes } from "../wire/message.ts";
import { localPrefOfMetric } from "./metric.ts";
import type { Community, RouteOperation } from "./peer-policy.ts";

/** What a filter that accepts a route does to it, in order. */
export function applyOperations(
  attributes: PathAttributes,
  operations: readonly RouteOperation[],
): PathAttributes {
  return operations.reduce(applyOperation, attributes);
}

/** Adds communities, each once, after those that are there. */
export function addCommunities(
  attributes: PathAttributes,
  communities: readonly Community[],
): PathAttributes {
  const standard = new Set(attributes.communities);
  const large = new Map((attributes.largeCommunities ?? []).map((each) => [each.join(":"), each]));
  for (const community of communities) {
    if (typeof community === "number") standard.add(community);
    else large.set(community.join(":"), community);
  }
  return {
    ...attributes,
    ...(standard.size > 0 ? { communities: [...standard] } : {}),
    ...(large.size > 0 ? { largeCommunities: [...large.values()] } : {}),
  };
}

/** The path with `asns` before it, as written. */
export function prependedPath(
  path: readonly AsPathSegment[],
  asns: AsPathSegment["asns"],
): readonly AsPathSegment[] {
  const [first, ...rest] = path;
  return first?.kind === "sequence"
    ? [{ kind: "sequence", asns: [...asns, ...first.asns] }, ...rest]
    : [{ kind: "sequence", asns: [...asns] }, ...path];
}

function applyOperation(attributes: PathAttributes, operation: RouteOperation): PathAttributes {
  switch (operation.kind) {
    case "addCommunity":
      return addCommunities(attributes, [operation.community]);
    case "prependAsPath":
      return { ...attributes, asPath: prependedPath(attributes.asPath, operation.asns) };
    case "setLocalPref":
      return { ...attributes, localPref: operation.localPref };
    case "setMed":
      return { ...attributes, med: operation.med };
    case "setPriority":
      return { ...attributes, localPref: localPrefOfMetric(operation.priority) };
  }
}
