import type { Node } from "./resources/node.ts";

/** Annotation of a Node that `tortie node drain` sets: "true", or absent. */
export const drainAnnotation = "tortie.dev/drain";

/** True when a node is to be told as one that is about to go (RFC 8326). */
export function isDraining({ metadata }: Node): boolean {
  return metadata.annotations?.[drainAnnotation] === "true";
}
