import { isDeepStrictEqual } from "node:util";
import type { IPPool } from "../../api/resources/ip-pool.ts";
import { isLocked } from "../../datastore/cluster-lock.ts";
import type { Datastore } from "../../datastore/datastore.ts";
import { poolsOf } from "../../ipam/pools.ts";
import { splitPool } from "../../ipam/split-pool.ts";
import { errorMessage, InputError } from "../../lib/errors.ts";
import { type Prefix, parsePrefix } from "../../lib/prefix.ts";
import type { Arguments } from "../arguments.ts";
import type { IpamContext } from "./ipam-verb.ts";

/**
 * `ipam split NUMBER`: pools of equal size in the place of one. The parts are made before the pool is
 * deleted: what was cut off is finished by the same command. Nobody assigns addresses meanwhile, since
 * the datastore is locked.
 */
export async function runSplit(args: Arguments, context: IpamContext): Promise<number> {
  const parts = partsOf(args);
  const [name, cidr] = [args.value("name"), args.value("cidr")];
  if ((name === undefined) === (cidr === undefined)) {
    throw new InputError("Cannot split a pool: give its --name or its --cidr, and not both");
  }
  const { io } = context;
  const store = await context.datastore();
  const { items } = await store.list("IPPool");
  const wanted = cidr === undefined ? undefined : requirePrefix(cidr);
  const pool = poolsOf(items).find((each) => each.name === name || each.cidr === wanted)?.resource;
  if (pool === undefined) {
    throw new InputError(`Cannot split IPPool "${name ?? cidr}": it does not exist`);
  }
  const pools = splitPool(pool, parts);
  const missing = partsMissing(pools, items);
  if (args.has("dry-run")) {
    for (const part of pools) io.stdout.write(`Would create ${partText(part)}\n`);
    io.stdout.write(`Would delete ${partText(pool)}\n`);
    return 0;
  }
  await requireLock(pool, store);
  for (const part of missing) await store.create<"IPPool">(part);
  await store.delete({ kind: "IPPool", name: pool.metadata.name }, pool.metadata.resourceVersion);
  io.stdout.write(
    `IP Pool ${pool.metadata.name} was successfully split into ${parts} smaller pools.\n`,
  );
  for (const part of pools) io.stdout.write(`Created ${partText(part)}.\n`);
  io.stdout.write(
    "Annotations and CNI configurations that name the old pool must name one of these.\n" +
      "The datastore is locked: tortie datastore migrate unlock\n",
  );
  return 0;
}

function requirePrefix(text: string): Prefix {
  try {
    return parsePrefix(text);
  } catch (error) {
    throw new InputError(`Cannot accept --cidr "${text}": ${errorMessage(error)}`);
  }
}

function partsOf(args: Arguments): number {
  const [, text, extra] = args.words;
  if (text === undefined) throw new InputError("Cannot split a pool without NUMBER");
  if (extra !== undefined) throw new InputError(`Cannot accept "${extra}" after NUMBER`);
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InputError(`Cannot accept NUMBER "${text}": it must be a power of 2`);
}

/** @throws {InputError} when another pool has a part's name. */
function partsMissing(parts: readonly IPPool[], present: readonly IPPool[]): IPPool[] {
  return parts.filter((part) => {
    const { name } = part.metadata;
    const same = present.find(({ metadata }) => metadata.name === name);
    if (same === undefined) return true;
    if (isDeepStrictEqual(same.spec, part.spec)) return false;
    throw new InputError(
      `Cannot create IPPool "${name}" of ${part.spec.cidr}: there is another of this name, of ${same.spec.cidr}`,
    );
  });
}

async function requireLock(pool: IPPool, store: Datastore): Promise<void> {
  if (await isLocked(store)) return;
  throw new InputError(
    `Cannot split IPPool "${pool.metadata.name}": the datastore is not locked. Run \`tortie datastore migrate lock\` first`,
  );
}

function partText({ metadata, spec }: IPPool): string {
  return `${metadata.name} with CIDR ${spec.cidr}`;
}
