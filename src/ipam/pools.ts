import { notAllocatable } from "../api/pool-condition.ts";
import type { IPPool, PoolUse } from "../api/resources/ip-pool.ts";
import { evaluateSelector } from "../api/selector/evaluate.ts";
import { parseSelector } from "../api/selector/parser.ts";
import { errorMessage } from "../lib/errors.ts";
import type { IpAddr, IpFamily } from "../lib/ip-addr.ts";
import {
  type Prefix,
  parsePrefix,
  prefixFamily,
  prefixHasAddress,
  prefixLength,
} from "../lib/prefix.ts";
import { IpamError } from "./ipam-error.ts";

type Labels = Readonly<Record<string, string>>;

/** An IP pool with its defaults filled in (facts 2.3). */
export interface Pool {
  readonly name: string;
  readonly cidr: Prefix;
  readonly family: IpFamily;
  /** Prefix length of its blocks. */
  readonly blockSize: number;
  readonly resource: IPPool;
}

/** What a caller of IPAM asks of pools. */
export interface PoolRequest {
  readonly node: string;
  readonly nodeLabels: Labels;
  /** Labels of the pod's namespace; none: as an empty set. */
  readonly namespaceLabels?: Labels;
  readonly use: PoolUse;
  /** Names or CIDRs of pools of this family. Then selectors do not count. */
  readonly requested?: readonly string[];
}

/** A datastore that gives an unchanged resource as the same object spares reading it again. */
const known = new WeakMap<IPPool, Pool>();

/** Pools in the order of the datastore. One whose CIDR cannot be parsed is left out. */
export function poolsOf(resources: readonly IPPool[]): Pool[] {
  return resources.flatMap((resource) => known.get(resource) ?? parsePool(resource) ?? []);
}

function parsePool(resource: IPPool): Pool | undefined {
  try {
    const cidr = parsePrefix(resource.spec.cidr);
    const family = prefixFamily(cidr);
    const blockSize = resource.spec.blockSize ?? (family === 4 ? 26 : 122);
    const pool = { name: resource.metadata.name, cidr, family, blockSize, resource };
    known.set(resource, pool);
    return pool;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The pool in which an address or a block lies: the most specific, disabled ones too. */
export function poolOf(pools: readonly Pool[], address: IpAddr): Pool | undefined {
  return pools
    .filter(({ cidr }) => prefixHasAddress(cidr, address))
    .sort((a, b) => prefixLength(b.cidr) - prefixLength(a.cidr))[0];
}

/**
 * Pools to take addresses of one family from, in order (facts 3.2 step 3).
 *
 * @throws {IpamError} bad-pool, no-pool; the message says of each pool why it may not be used.
 */
export function choosePools(
  pools: readonly Pool[],
  family: IpFamily,
  request: PoolRequest,
): readonly Pool[] {
  if (request.requested !== undefined && request.requested.length > 0) {
    return request.requested.map((wanted) => requestedPool(pools, wanted, { family, request }));
  }
  const refused: string[] = [];
  const chosen = pools.filter((pool) => {
    const reason =
      pool.family === family
        ? (refusal(pool, request.use) ?? notSelected(pool, request))
        : `it is IPv${pool.family}`;
    if (reason !== undefined) refused.push(`${pool.name}: ${reason}`);
    return reason === undefined;
  });
  if (chosen.length > 0) return chosen;
  const why = refused.length === 0 ? "there is no IPPool" : refused.join("; ");
  throw new IpamError(
    `Cannot choose an IPv${family} pool for node ${request.node}, use ${request.use}: ${why}`,
    { code: "no-pool", family, node: request.node },
  );
}

function requestedPool(
  pools: readonly Pool[],
  wanted: string,
  context: { readonly family: IpFamily; readonly request: PoolRequest },
): Pool {
  const { family, request } = context;
  const pool = pools.find(({ name, cidr }) => name === wanted || cidr === canonical(wanted));
  const reason =
    pool === undefined
      ? "no IPPool has this name or CIDR"
      : pool.family === family
        ? refusal(pool, request.use)
        : `it is IPv${pool.family}, wanted is IPv${family}`;
  if (pool !== undefined && reason === undefined) return pool;
  throw new IpamError(`Cannot use the requested pool "${wanted}": ${reason}`, {
    code: "bad-pool",
    pool: wanted,
  });
}

function canonical(text: string): string {
  try {
    return parsePrefix(text);
  } catch {
    return text;
  }
}

/** Why nobody may take an address from the pool for this use; undefined when anybody may. */
export function refusal(pool: Pool, use: PoolUse): string | undefined {
  const { spec } = pool.resource;
  if (pool.resource.metadata.deletionTimestamp !== undefined) return "it is being deleted";
  if (spec.disabled === true) return "it is disabled";
  const why = notAllocatable(pool.resource);
  if (why !== undefined) return `its status says that it is not allocatable: ${why}`;
  if (pool.blockSize < prefixLength(pool.cidr)) {
    return `${pool.cidr} is smaller than a block (/${pool.blockSize})`;
  }
  const uses = spec.allowedUses ?? ["Workload", "Tunnel"];
  return uses.includes(use) ? undefined : `allowedUses is ${uses.join(", ")}`;
}

function notSelected(pool: Pool, request: PoolRequest): string | undefined {
  const { spec } = pool.resource;
  if (spec.assignmentMode === "Manual") return "assignmentMode is Manual";
  return (
    selectorMisses("nodeSelector", spec.nodeSelector, request.nodeLabels) ??
    selectorMisses("namespaceSelector", spec.namespaceSelector, request.namespaceLabels ?? {})
  );
}

/** True when the pool's blocks may be held by a node with these labels. */
export function selectsNode(pool: Pool, nodeLabels: Labels): boolean {
  const { nodeSelector } = pool.resource.spec;
  return selectorMisses("nodeSelector", nodeSelector, nodeLabels) === undefined;
}

function selectorMisses(
  field: string,
  selector: string | undefined,
  labels: Labels,
): string | undefined {
  if (selector === undefined || selector === "") return undefined;
  try {
    const matches = evaluateSelector(parseSelector(selector), labels);
    return matches ? undefined : `its ${field} ${selector} does not match`;
  } catch (error) {
    return `its ${field} cannot be read: ${errorMessage(error)}`;
  }
}
