import type { PoolUse } from "../api/resources/ip-pool.ts";
import { type IpAddr, ipBits } from "../lib/ip-addr.ts";
import {
  type Prefix,
  prefixAddress,
  prefixesOverlap,
  prefixHasAddress,
  prefixOf,
} from "../lib/prefix.ts";
import { type AddressOwner, assignSpecific, ownerOf } from "./block.ts";
import { hostAffinity } from "./block-affinity.ts";
import { claimBlock, ownBlock } from "./claims.ts";
import { IpamError } from "./ipam-error.ts";
import type { IpamRecords, StoredBlock } from "./ipam-records.ts";
import { type Pool, poolOf, refusal } from "./pools.ts";
import { type Assigned, writeAssignment } from "./write-assignment.ts";

export interface AssignIpRequest extends AddressOwner {
  readonly address: IpAddr;
  readonly node: string;
  readonly use?: PoolUse;
}

/**
 * Assigns one given address (facts 3.4). Its block is claimed for the node when nobody has it.
 *
 * @throws {IpamError} bad-pool, address-taken, not-affine
 */
export async function assignIp(
  records: IpamRecords,
  request: AssignIpRequest,
  context: { readonly pools: readonly Pool[]; readonly strictAffinity: boolean },
): Promise<Assigned> {
  const pool = usablePool(context.pools, request);
  const cidr = prefixOf(request.address, pool.blockSize);
  return await records.retry(async () => {
    const present =
      (await records.block(cidr)) ?? (await blockOfOtherSize(records, request.address, cidr));
    const read =
      present === undefined
        ? await claimBlock(records, request.node, cidr)
        : await settled(records, present, request.node);
    if (read === undefined) return undefined;
    if (context.strictAffinity) requireOwn(read, request);
    return await assignOrdinal(records, read, request);
  });
}

/** A block that a crash left with a pending affinity has no route: it is made the node's first. */
async function settled(
  records: IpamRecords,
  block: StoredBlock,
  node: string,
): Promise<StoredBlock> {
  if (block.spec.affinity !== hostAffinity(node)) return block;
  return (await ownBlock(records, node, block.cidr)) ?? block;
}

/**
 * The block that has the address since before its pool was made anew with another block size. A new
 * block beside it would have some addresses a second time.
 */
async function blockOfOtherSize(
  records: IpamRecords,
  address: IpAddr,
  cidr: Prefix,
): Promise<StoredBlock | undefined> {
  const overlapping = (await records.blocks()).filter((block) => prefixesOverlap(block.cidr, cidr));
  const holding = overlapping.find((block) => prefixHasAddress(block.cidr, address));
  const [first] = overlapping;
  if (holding !== undefined || first === undefined) return holding;
  throw new IpamError(
    `Cannot assign ${address}: its block would be ${cidr}, and block ${first.cidr} of another size lies in it`,
    { code: "bad-pool", pool: "" },
  );
}

function usablePool(pools: readonly Pool[], request: AssignIpRequest): Pool {
  const { address, use } = request;
  const pool = poolOf(pools, address);
  const reason =
    pool === undefined
      ? "it lies in no IPPool"
      : refusal(pool, use ?? pool.resource.spec.allowedUses?.[0] ?? "Workload");
  if (pool !== undefined && reason === undefined) return pool;
  const where = pool === undefined ? "" : `pool ${pool.name}: `;
  throw new IpamError(`Cannot assign ${address}: ${where}${reason}`, {
    code: "bad-pool",
    pool: pool?.name ?? "",
  });
}

function requireOwn(read: StoredBlock, request: AssignIpRequest): void {
  const { affinity = "nobody" } = read.spec;
  if (affinity === hostAffinity(request.node)) return;
  throw new IpamError(
    `Cannot assign ${request.address} to ${request.node}: block ${read.cidr} belongs to ${affinity} and strictAffinity is true`,
    { code: "not-affine", block: read.cidr, owner: affinity },
  );
}

/** " (pod shop/web-0 on node1)", " (vxlanTunnelAddress on node1)": as far as its attributes say. */
function holderText(owner: ReturnType<typeof ownerOf>): string {
  const { namespace, pod, type, node } = owner?.secondary ?? {};
  const what =
    pod === undefined ? type : `pod ${namespace === undefined ? "" : `${namespace}/`}${pod}`;
  const where = node === undefined ? undefined : `on ${node}`;
  const text = [what, where].filter((part) => part !== undefined).join(" ");
  return text === "" ? "" : ` (${text})`;
}

async function assignOrdinal(
  records: IpamRecords,
  read: StoredBlock,
  request: AssignIpRequest,
): Promise<Assigned> {
  const { address, handle } = request;
  const ordinal = Number(ipBits(address) - ipBits(prefixAddress(read.cidr)));
  const change = assignSpecific(read.spec, ordinal, request);
  const [first] = change?.assigned ?? [];
  if (change === undefined || first === undefined) {
    const owner = ownerOf(read.spec, ordinal);
    const holder =
      owner?.releasedAt === undefined
        ? `handle "${owner?.handle_id ?? ""}" has it${holderText(owner)}`
        : `it cools down since ${owner.releasedAt}`;
    throw new IpamError(`Cannot assign ${address}: ${holder}`, {
      code: "address-taken",
      address,
      handle: owner?.handle_id ?? "",
    });
  }
  const { block, assigned } = change;
  const taker = { handle, count: assigned.length, likelyNew: true };
  await writeAssignment(records, read, { block, takers: [taker] });
  return { address, block: read.cidr, handle, sequenceNumber: first.sequenceNumber };
}
