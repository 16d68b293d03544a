import type { NodeState, TunnelState } from "./path.ts";

/** Body of a "state". */
export interface StateBody extends Pick<NodeState, "checksumErrors"> {
  readonly arrived: readonly number[];
  /** Absent: there was no room for them. */
  readonly tunnels?: NodeState["tunnels"];
}

/** JSON behind which there may be zeros; undefined when it is none. */
export function jsonOf<Body>(body: Uint8Array): Partial<Body> | undefined {
  const end = body.indexOf(0);
  try {
    const value: unknown = JSON.parse(
      Buffer.from(end < 0 ? body : body.subarray(0, end)).toString("utf8"),
    );
    return typeof value === "object" && value !== null ? (value as Partial<Body>) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What a peer says of itself; undefined when it cannot be so. Words of it come into findings and
 * conditions, so that nothing is taken but numbers and the names of devices.
 */
export function parseState(body: Uint8Array): StateBody | undefined {
  const { checksumErrors, arrived, tunnels } = jsonOf<StateBody>(body) ?? {};
  if (!isCount(checksumErrors?.udp) || !isCount(checksumErrors.tcp)) return undefined;
  if (!Array.isArray(arrived) || !arrived.every(isCount)) return undefined;
  if (tunnels !== undefined && !(Array.isArray(tunnels) && tunnels.every(isTunnelState))) {
    return undefined;
  }
  const { udp, tcp } = checksumErrors;
  return { checksumErrors: { udp, tcp }, arrived, ...(tunnels && { tunnels }) };
}

function isTunnelState(value: unknown): value is TunnelState {
  const { name, up, mtu, vni = 0, port = 0 } = (value ?? {}) as Partial<TunnelState>;
  const isName = typeof name === "string" && /^[\w.:-]{1,15}$/.test(name);
  return isName && typeof up === "boolean" && [mtu, vni, port].every(isCount);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
