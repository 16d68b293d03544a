import type { Kind, ResourceOfKind } from "../api/resource-of-kind.ts";
import { decodeStored } from "../api/validate.ts";
import type { Logger } from "../lib/log.ts";

/** What the datastore holds, if it is valid; else null, said once in the log. */
export function acceptStored(
  log: Logger,
): (resource: ResourceOfKind[Kind]) => ResourceOfKind[Kind] | null {
  return (resource) => {
    const decoded = decodeStored(resource);
    if (decoded.ok) return decoded.resource;
    const { kind, metadata } = resource;
    const { namespace, name } = metadata;
    log.warn({ kind, namespace, name, reason: decoded.reason }, "resource ignored");
    return null;
  };
}
