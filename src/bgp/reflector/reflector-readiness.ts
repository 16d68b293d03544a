/** How far the sessions of a route reflector are. */
export interface ReflectorSessions {
  readonly configured: boolean;
  /** Clients that there are to be, and those that are Established. */
  readonly clients: number;
  readonly established: number;
}

/** A new reflector waits so long for its last client, which may be a machine that is off. */
const windowMs = 60_000;

/**
 * Why a reflector is not ready; "" when it is. All sessions count while it is new, so that the next one is
 * not replaced before this one does its work; afterwards one is enough (facts 1.1, BIRD readiness).
 */
export function reflectorUnready(
  { configured, clients, established }: ReflectorSessions,
  upForMs: number,
): string {
  if (!configured) return "the datastore has not told of the nodes yet";
  if (established === clients) return "";
  if (established > 0 && upForMs >= windowMs) return "";
  return `${established} of ${clients} sessions are Established`;
}
