import type { PoolUse } from "../api/resources/ip-pool.ts";
import type { IPAMConfigurationSpec } from "../api/resources/ipam.ts";
import { errorMessage } from "../lib/errors.ts";
import type { IpFamily } from "../lib/ip-addr.ts";
import type { Prefix } from "../lib/prefix.ts";
import {
  type AssignmentJob,
  assignFamily,
  assignFromCurrentBlock,
  type Claims,
} from "./assign-family.ts";
import type { AddressOwner } from "./block.ts";
import type { EarlyHandle } from "./early-handle.ts";
import type { IpamRecords } from "./ipam-records.ts";
import { choosePools, type Pool } from "./pools.ts";
import { releaseAddresses } from "./release-addresses.ts";
import { type Assigned, missing } from "./write-assignment.ts";

/*
 * Requests of one node that are under way at once. All of them take from the node's current block in one
 * write; one that wants more goes on by itself, in its turn.
 */

export interface AutoAssignRequest extends AddressOwner {
  readonly node: string;
  readonly use: PoolUse;
  /** How many addresses of each family. */
  readonly num4?: number;
  readonly num6?: number;
  /** Names or CIDRs of the pools to take from; absent or empty: all that select the node. */
  readonly pools4?: readonly string[];
  readonly pools6?: readonly string[];
  readonly namespaceLabels?: Readonly<Record<string, string>>;
  /** Lowers IPAMConfiguration's maxBlocksPerHost. */
  readonly maxBlocksPerHost?: number;
}

/** What all requests of a batch go by, as it was at their start. */
export interface BatchContext {
  readonly records: IpamRecords;
  readonly config: IPAMConfigurationSpec;
  readonly allPools: readonly Pool[];
  readonly reserved: readonly Prefix[];
  readonly nodeLabels: Readonly<Record<string, string>>;
  /** Where the node looks for a block first, when it is new. */
  readonly listed: Claims | undefined;
  /** Of a batch of one request. */
  readonly early: EarlyHandle | undefined;
  /** The pools as they are now. */
  readPools(): Promise<readonly Pool[]>;
}

/** One request, with its job of each family in their order. */
interface Work {
  readonly assigned: Assigned[];
  readonly families: readonly FamilyChoice[];
  readonly request: AutoAssignRequest;
  failure?: { readonly error: unknown } | undefined;
}

interface FamilyChoice {
  readonly family: IpFamily;
  readonly count: number;
  readonly pools: readonly Pool[];
}

const families: readonly IpFamily[] = [4, 6];

/** Carries out requests of one node, each with all its addresses or none. Outcomes are in their order. */
export async function assignBatch(
  context: BatchContext,
  requests: readonly AutoAssignRequest[],
): Promise<readonly PromiseSettledResult<readonly Assigned[]>[]> {
  const works = requests.map((request) => begin(context, request));
  let { listed } = context;
  for (const family of families) {
    const jobs = works.map((work) => ({ work, job: jobOf(context, work, family) }));
    const present = jobs.flatMap(({ job }) => job ?? []);
    await assignJobs(context.records, present, listed);
    // What was listed is true until the first claim.
    if (present.length > 0) listed = undefined;
    for (const { work, job } of jobs) {
      work.assigned.push(...(job?.assigned ?? []));
      work.failure ??= job?.failure;
    }
  }
  const outcomes: PromiseSettledResult<readonly Assigned[]>[] = [];
  for (const work of works) outcomes.push(await outcomeOf(context, work));
  return outcomes;
}

/** Pools of all families are chosen before anything is assigned. */
function begin(context: BatchContext, request: AutoAssignRequest): Work {
  const assigned: Assigned[] = [];
  const { nodeLabels } = context;
  try {
    const choices = familiesOf(request).map(({ family, count, requested }) => {
      const pools = choosePools(context.allPools, family, { ...request, nodeLabels, requested });
      return { family, count, pools };
    });
    return { request, assigned, families: choices };
  } catch (error) {
    return { request, assigned, families: [], failure: { error } };
  }
}

/** Undefined where nothing of the family is wanted, or the request has failed. */
function jobOf(context: BatchContext, work: Work, family: IpFamily): AssignmentJob | undefined {
  const { request, assigned, failure } = work;
  const choice = work.families.find((each) => each.family === family);
  if (choice === undefined || failure !== undefined) return undefined;
  const { records, config, allPools, reserved, nodeLabels, early } = context;
  return {
    records,
    assigned: [],
    request: {
      ...choice,
      isFirst: assigned.length === 0,
      node: request.node,
      nodeLabels,
      allPools,
      config,
      owner: { handle: request.handle, attributes: request.attributes },
      maxBlocks: maxBlocks(config, request),
      reserved,
      early,
    },
  };
}

async function assignJobs(
  records: IpamRecords,
  jobs: readonly AssignmentJob[],
  listed: Claims | undefined,
): Promise<void> {
  await assignFromCurrentBlock(records, jobs);
  let known = listed;
  for (const [index, job] of jobs.entries()) {
    if (missing(job) === 0) continue;
    try {
      await assignFamily(job, known);
    } catch (error) {
      job.failure = { error };
    }
    known = undefined;
    // There may be a new block, with room for the others.
    const others = jobs.slice(index + 1).filter((other) => missing(other) > 0);
    await assignFromCurrentBlock(records, others);
  }
}

/** What a request that failed was given goes back. */
async function outcomeOf(
  { records, readPools }: BatchContext,
  { assigned, failure }: Work,
): Promise<PromiseSettledResult<readonly Assigned[]>> {
  if (failure === undefined) return { status: "fulfilled", value: assigned };
  const { error: reason } = failure;
  try {
    if (assigned.length > 0) await releaseAddresses(records, assigned, await readPools());
    return { status: "rejected", reason };
  } catch (error) {
    const addresses = assigned.map(({ address }) => address).join(", ");
    const both = new AggregateError(
      [reason, error],
      `${errorMessage(reason)}; and cannot release ${addresses} after it`,
      { cause: error },
    );
    return { status: "rejected", reason: both };
  }
}

/** The families that are asked for, IPv4 first. */
export function familiesOf(
  request: AutoAssignRequest,
): { readonly family: IpFamily; readonly count: number; readonly requested: readonly string[] }[] {
  const { num4 = 0, num6 = 0, pools4 = [], pools6 = [] } = request;
  return [
    { family: 4, count: num4, requested: pools4 } as const,
    { family: 6, count: num6, requested: pools6 } as const,
  ].filter(({ count }) => count > 0);
}

const defaultMaxBlocks = 20;

function maxBlocks(config: IPAMConfigurationSpec, request: AutoAssignRequest): number {
  const limits = [config.maxBlocksPerHost ?? 0, request.maxBlocksPerHost ?? 0];
  const set = limits.filter((limit) => limit > 0);
  return set.length === 0 ? defaultMaxBlocks : Math.min(...set);
}
