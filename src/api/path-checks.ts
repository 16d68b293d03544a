/** What path checks keep in a Node (docs/check-paths.md). */

/** Annotation: the public key of the node's path checks, base64url. Absent: it takes no part. */
export const pathKeyAnnotation = "tortie.dev/path-check-key";

/** Type of the condition that tells whether packets get from this node to its peers. */
export const pathHealthyType = "CalicoPathHealthy";
