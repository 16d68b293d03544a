import type { BlockAffinity, IPAMConfigurationSpec } from "../api/resources/ipam.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import { BatchQueue } from "../lib/batch-queue.ts";
import type { Millis } from "../lib/clock.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import { KeyedLock } from "../lib/keyed-lock.ts";
import { type Prefix, prefixAddress, prefixContains } from "../lib/prefix.ts";
import { isOfService } from "./allocation-use.ts";
import { type AutoAssignRequest, assignBatch, familiesOf } from "./assign-batch.ts";
import { type Claims, listClaims } from "./assign-family.ts";
import { type AssignIpRequest, assignIp } from "./assign-ip.ts";
import { type Allocation, type Audit, type AuditInput, allocationsOf, audit } from "./audit.ts";
import { isEmpty, ownerOf } from "./block.ts";
import {
  affineNode,
  affinitiesOfNode,
  affinityLabelsMissing,
  affinityOwner,
  hostAffinity,
  loadBalancerHost,
} from "./block-affinity.ts";
import { BlockMemory } from "./block-memory.ts";
import { release } from "./block-release.ts";
import { releaseAffinity } from "./claims.ts";
import { EarlyHandle } from "./early-handle.ts";
import { handleName } from "./handles.ts";
import { IpamRecords, type RecordPorts, type StoredBlock } from "./ipam-records.ts";
import { type Pool, poolOf, poolsOf, selectsNode } from "./pools.ts";
import {
  type BlockRelease,
  blocksOfAddresses,
  ordinalIn,
  type ReleaseRequest,
  releaseAddresses,
  releaseHandleAddresses,
  releaseInBlock,
} from "./release-addresses.ts";
import {
  type MiscountedHandle,
  repairHandle,
  settleAffinity,
  type UnsettledAffinity,
} from "./repair.ts";
import { reservedPrefixes } from "./reservations.ts";
import { SharedHandle } from "./shared-handle.ts";
import { type ShortageRequest, shortageOf } from "./shortage.ts";
import { type PoolUtilization, utilizationOf } from "./utilization.ts";
import { machinesOf } from "./vm-states.ts";
import type { Assigned } from "./write-assignment.ts";

export type { AutoAssignRequest };

export interface ReleaseResult {
  readonly released: readonly IpAddr[];
  /** They were free already. */
  readonly unallocated: readonly IpAddr[];
}

/** Who has an address. */
export interface AddressHolder {
  readonly handle: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Where a virtual machine moves to. */
  readonly alternateOwner: Readonly<Record<string, string>>;
  readonly sequenceNumber: bigint;
}

/** Everything that IPAM has given away, and to whom. */
export interface Survey extends AuditInput {
  readonly allocations: readonly Allocation[];
  readonly affinities: readonly BlockAffinity[];
}

/** Affinities are taken for what they were so long ago. */
const freshMs = 5_000;

/** Requests of a node that share a write: their handles, and the block, fit one transaction of etcd. */
const maxBatch = 32;

/** Two requests of one handle would count it in one write. */
function mayJoin(request: AutoAssignRequest, batch: readonly AutoAssignRequest[]): boolean {
  const name = handleName(request.handle);
  return batch.every(({ handle }) => handleName(handle) !== name);
}

/** One call's view: the configuration as it was at its start. */
interface Session {
  readonly records: IpamRecords;
  readonly config: IPAMConfigurationSpec;
}

/**
 * IPAM on a datastore (facts 3). Any number of processes may use it at once: each change is a
 * compare-and-swap. No address is given twice; none is lost, since a crash at any step leaves what
 * the next assignment or the handle's release repairs.
 */
export class Ipam {
  readonly #ports: RecordPorts;
  /** Spares the pods of one node the conflicts with each other. */
  readonly #lock = new KeyedLock();
  /** The same for releases, by block. */
  readonly #turns = new KeyedLock();
  readonly #memory = new BlockMemory();

  #justListed:
    | {
        readonly node: string;
        readonly affinities: readonly BlockAffinity[];
        readonly at: Millis;
      }
    | undefined;
  readonly #queue: BatchQueue<AutoAssignRequest, readonly Assigned[]>;

  constructor(ports: RecordPorts) {
    this.#ports = ports;
    const work = (node: string, batch: readonly AutoAssignRequest[]) => this.#assign(node, batch);
    this.#queue = new BatchQueue({ limit: maxBatch, mayJoin, work }, this.#lock);
  }

  /**
   * Assigns `num4` and `num6` addresses: all, or none.
   *
   * Differs from facts 3.2 step 8: a partial answer has no use for any caller, so it is an error,
   * and what was assigned is released.
   *
   * @returns IPv4 first.
   * @throws {IpamError} no-pool, bad-pool, pool-exhausted, block-limit, blocks-fixed,
   *   too-many-conflicts
   */
  autoAssign(request: AutoAssignRequest): Promise<readonly Assigned[]> {
    return this.#queue.run(request.node, request);
  }

  async #assign(
    node: string,
    batch: readonly AutoAssignRequest[],
  ): Promise<readonly PromiseSettledResult<readonly Assigned[]>[]> {
    const early = this.#beginHandle(batch);
    try {
      const [session, inputs, listed] = await Promise.all([
        this.#open(),
        this.#inputs(node),
        this.#listAhead(node, batch),
      ]);
      const readPools = () => this.#pools();
      return await assignBatch({ ...session, ...inputs, listed, early, readPools }, batch);
    } finally {
      await early?.end();
    }
  }

  /** Of one request alone. Pools that are asked for are seldom those of the last address. */
  #beginHandle(batch: readonly AutoAssignRequest[]): EarlyHandle | undefined {
    const [request, ...others] = batch;
    if (request === undefined || others.length > 0) return undefined;
    const [first] = familiesOf(request);
    if (first === undefined || first.requested.length > 0) return undefined;
    return EarlyHandle.begin(this.#recordsAhead(), { ...request, ...first });
  }

  /** For a node without a block: what it looks for a block by, read with the rest. */
  async #listAhead(node: string, batch: readonly AutoAssignRequest[]): Promise<Claims | undefined> {
    const [first] = batch.flatMap(familiesOf);
    if (first === undefined || this.#memory.current(node, first.family) !== undefined)
      return undefined;
    return await listClaims(this.#recordsAhead(), node, first.family, this.#affinitiesOf(node));
  }

  /** What was listed a moment ago, once: each of its objects is written by its version. */
  #affinitiesOf(node: string): readonly BlockAffinity[] | undefined {
    const listed = this.#justListed;
    this.#justListed = undefined;
    const isFresh = listed?.node === node && this.#ports.clock.now() - listed.at < freshMs;
    return isFresh ? listed.affinities : undefined;
  }

  /** For what is asked before the configuration is read, and does not go by it. */
  #recordsAhead(): IpamRecords {
    return new IpamRecords(
      { cooldownMs: 0, memory: this.#memory, turns: this.#turns },
      this.#ports,
    );
  }

  /** What the choice of pools goes by, read at once. */
  async #inputs(node: string): Promise<{
    readonly allPools: readonly Pool[];
    readonly reserved: readonly Prefix[];
    readonly nodeLabels: Readonly<Record<string, string>>;
  }> {
    const [allPools, reserved, nodeLabels] = await Promise.all([
      this.#pools(),
      this.#reserved(),
      nodeLabelsOf(this.#ports.datastore, node),
    ]);
    return { allPools, reserved, nodeLabels };
  }

  /**
   * Assigns one given address. Its block is claimed for the node when nobody has it.
   *
   * @throws {IpamError} bad-pool, address-taken, not-affine
   */
  assignIp(request: AssignIpRequest): Promise<Assigned> {
    return this.#lock.run(request.node, async () => {
      const { records, config } = await this.#open();
      const strictAffinity = config.strictAffinity === true;
      return await assignIp(records, request, { pools: await this.#pools(), strictAffinity });
    });
  }

  /** For a handle whose pods change, and which several nodes may ask for at once. */
  async sharedHandle(handle: string): Promise<SharedHandle> {
    const { records } = await this.#open();
    return new SharedHandle(handle, { records, release: (requests) => this.releaseIps(requests) });
  }

  /** True when the handle counts any address. */
  async knowsHandle(handle: string): Promise<boolean> {
    return (await this.#recordsAhead().handle(handle)) !== undefined;
  }

  /** Releases every address of a handle. An unknown handle is success. */
  async releaseByHandle(handle: string): Promise<readonly IpAddr[]> {
    const { records } = await this.#open();
    const releases = await releaseHandleAddresses(records, handle);
    await this.#returnUnselected(records, releases);
    return releases.flatMap(({ released }) => released);
  }

  /**
   * Releases addresses; those of one block all or none.
   *
   * @throws {IpamError} owner-changed
   */
  async releaseIps(requests: readonly ReleaseRequest[]): Promise<ReleaseResult> {
    const { records } = await this.#open();
    const releases = await releaseAddresses(records, requests, await this.#pools());
    await this.#returnUnselected(records, releases);
    return {
      released: releases.flatMap(({ released }) => released),
      unallocated: releases.flatMap(({ unallocated }) => unallocated),
    };
  }

  /** An emptied block goes back when its pool no longer selects the block's node (facts 3.5). */
  async #returnUnselected(records: IpamRecords, releases: readonly BlockRelease[]): Promise<void> {
    for (const { left } of releases) {
      const node = affineNode(left?.affinity);
      if (left === undefined || node === undefined || !isEmpty(left)) continue;
      const cidr = left.cidr as Prefix;
      const pool = poolOf(await this.#pools(), prefixAddress(cidr));
      if (pool === undefined || selectsNode(pool, await nodeLabelsOf(this.#ports.datastore, node)))
        continue;
      await releaseAffinity(records, { node, cidr, mustBeEmpty: true });
    }
  }

  /**
   * Takes blocks from nodes: from one node or all, in one pool or all. A block with addresses stays,
   * without an owner; or with `mustBeEmpty`, with its owner.
   *
   * @returns the blocks that their nodes keep.
   */
  async releaseAffinities(options: {
    readonly node?: string;
    readonly pool?: Prefix;
    readonly mustBeEmpty?: boolean;
  }): Promise<readonly Prefix[]> {
    const { records } = await this.#open();
    const mustBeEmpty = options.mustBeEmpty === true;
    const kept: Prefix[] = [];
    for (const { node, cidr } of await claims(records)) {
      if (options.node !== undefined && options.node !== node) continue;
      if (options.pool !== undefined && !prefixContains(options.pool, cidr)) continue;
      const outcome = await releaseAffinity(records, { node, cidr, mustBeEmpty });
      if (outcome === "kept") kept.push(cidr);
    }
    return kept;
  }

  /** Makes a handle count what its blocks give it, unless it was written since it was seen. */
  async repairHandle(seen: MiscountedHandle): Promise<void> {
    const { records } = await this.#open();
    await repairHandle(records, seen);
  }

  /** Finishes or undoes a claim of a block, unless it was written since it was seen. */
  async settleAffinity(seen: UnsettledAffinity): Promise<void> {
    const { records } = await this.#open();
    await settleAffinity(records, seen);
  }

  /** Gives the node's affinities of older releases the labels that lists go by (facts 1.1). */
  async upgradeHost(node: string): Promise<void> {
    const records = this.#recordsAhead();
    const affinities = await records.affinities(node);
    this.#justListed = { node, affinities, at: this.#ports.clock.now() };
    for (const { cidr, affinity } of affinitiesOfNode(affinities, node)) {
      if (!affinityLabelsMissing(affinity)) continue;
      await records.writeAffinity(node, cidr, affinity.spec.state);
    }
  }

  /** Undefined when the address is free, cooling, or in no block. */
  async holderOf(address: IpAddr): Promise<AddressHolder | undefined> {
    const { records } = await this.#open();
    const cidr = (await blocksOfAddresses(records, [address], await this.#pools())).get(address);
    const block = cidr === undefined ? undefined : await records.block(cidr);
    if (block === undefined) return undefined;
    const ordinal = ordinalIn(block.cidr, address);
    const owner = ownerOf(block.spec, ordinal);
    if (owner === undefined || owner.releasedAt !== undefined) return undefined;
    return {
      handle: owner.handle_id ?? "",
      attributes: owner.secondary ?? {},
      alternateOwner: owner.alternateOwnerAttrs ?? {},
      sequenceNumber: block.spec.sequenceNumberForAllocation[ordinal] ?? 0n,
    };
  }

  /** How full each pool and block is. */
  async utilization(): Promise<PoolUtilization[]> {
    const { records } = await this.#open();
    return utilizationOf(await this.#pools(), await records.blocks(), await this.#reserved());
  }

  /** Who has and who uses every address, and what does not fit (facts 3.13). */
  async audit(): Promise<Audit> {
    return audit(await this.#read());
  }

  /** What garbage collection goes by: the audit, and what it was made of. */
  async survey(): Promise<Survey> {
    const read = await this.#read();
    const affinities = await this.#ports.datastore.list("BlockAffinity");
    const allocations = allocationsOf(read);
    const live = affinities.items.filter(({ spec }) => spec.deleted !== true);
    return { ...read, allocations, affinities: live };
  }

  async #read(): Promise<AuditInput> {
    const { records } = await this.#open();
    const { datastore } = this.#ports;
    // Users are read after blocks: an address that was given in between does not look unallocated.
    const [pools, blocks] = await Promise.all([this.#pools(), records.blocks()]);
    const [handles, endpoints, nodes, services] = await Promise.all([
      datastore.list("IPAMHandle"),
      datastore.list("WorkloadEndpoint"),
      datastore.list("Node"),
      isServices(pools, blocks) ? datastore.list("Service") : { items: [] },
    ]);
    const read = {
      pools,
      blocks,
      handles: handles.items.filter(({ spec }) => spec.deleted !== true),
      endpoints: endpoints.items,
      nodes: nodes.items,
      services: services.items,
    };
    return { ...read, machines: await machinesOf(read, datastore) };
  }

  /** What is assigned, by the blocks: to whom, but not who uses it. */
  async allocations(): Promise<Allocation[]> {
    const { records } = await this.#open();
    const [pools, blocks] = await Promise.all([this.#pools(), records.blocks()]);
    const given = allocationsOf({ pools, blocks, handles: [], endpoints: [], nodes: [] });
    return given.filter(({ coolingSince }) => coolingSince === undefined);
  }

  /** What Services of the type LoadBalancer have (facts 3.11). */
  async serviceAllocations(): Promise<Allocation[]> {
    return (await this.allocations()).filter(({ attributes }) => isOfService(attributes));
  }

  /** Why no pod of a node would get an address of a family; undefined when one may. Reads all blocks. */
  async shortage(wanted: ShortageRequest): Promise<string | undefined> {
    const { datastore } = this.#ports;
    const nodeLabels = await nodeLabelsOf(datastore, wanted.node);
    return shortageOf({ ...wanted, nodeLabels }, await this.#pools(), await this.utilization());
  }

  /** Takes an empty block from its node, unless it was written since `sequenceNumber`. */
  async releaseEmptyBlock(block: {
    readonly node: string;
    readonly cidr: Prefix;
    readonly sequenceNumber: bigint;
  }): Promise<"released" | "kept"> {
    const { records } = await this.#open();
    return releaseAffinity(records, { ...block, mustBeEmpty: true });
  }

  /** Frees the addresses of a block that have rested long enough. */
  async freeRested(cidr: Prefix): Promise<void> {
    const { records } = await this.#open();
    await releaseInBlock(records, {
      cidr,
      act: (block) => release(block, [], records.now()),
      fence: true,
    });
  }

  async #open(): Promise<Session> {
    const memory = this.#memory;
    const stored = await this.#recordsAhead().get({ kind: "IPAMConfiguration", name: "default" });
    const config = stored?.spec ?? {};
    const cooldownMs = (config.ipCooldownSeconds ?? 0) * 1000;
    return {
      config,
      records: new IpamRecords({ cooldownMs, memory, turns: this.#turns }, this.#ports),
    };
  }

  async #reserved(): Promise<readonly Prefix[]> {
    return reservedPrefixes((await this.#ports.datastore.list("IPReservation")).items);
  }

  async #pools(): Promise<Pool[]> {
    return poolsOf((await this.#ports.datastore.list("IPPool")).items);
  }
}

/** Whether Services may have addresses: else they are not read. */
function isServices(pools: readonly Pool[], blocks: readonly StoredBlock[]): boolean {
  return (
    pools.some(({ resource }) => resource.spec.allowedUses?.includes("LoadBalancer")) ||
    blocks.some(({ spec }) => spec.affinity === hostAffinity(loadBalancerHost))
  );
}

/** Who claims which block: affinities say so, and blocks whose affinity a crash has left out. */
async function claims(records: IpamRecords): Promise<{ node: string; cidr: Prefix }[]> {
  const affinities = await records.affinities();
  const nodes = new Set(affinities.map(({ spec }) => affinityOwner(spec)));
  const claimed = [...nodes].flatMap((node) =>
    affinitiesOfNode(affinities, node).map(({ cidr }) => ({ node, cidr })),
  );
  const known = new Set(claimed.map(({ node, cidr }) => `${node} ${cidr}`));
  for (const { cidr, spec } of await records.blocks()) {
    const node = affineNode(spec.affinity);
    if (node !== undefined && !known.has(`${node} ${cidr}`)) claimed.push({ node, cidr });
  }
  return claimed;
}

/** A node that the datastore does not have has no labels. */
async function nodeLabelsOf(
  datastore: Datastore,
  node: string,
): Promise<Readonly<Record<string, string>>> {
  try {
    return (await datastore.get({ kind: "Node", name: node })).metadata.labels ?? {};
  } catch (error) {
    if (isDatastoreError(error, "not-found")) return {};
    throw error;
  }
}
