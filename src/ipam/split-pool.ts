import type { IPPool } from "../api/resources/ip-pool.ts";
import { InputError } from "../lib/errors.ts";
import { nthAddress, prefixLength, prefixOf, prefixSize } from "../lib/prefix.ts";
import { poolsOf } from "./pools.ts";

/** More pools than that slow each assignment down: it looks at all of them. */
const maxParts = 1024;
const maxNameLength = 253;

/**
 * The pools of equal size that a pool is split into, each with all that it says but its CIDR, named
 * "split-<pool>-<number>" (facts 7.3). Blocks stay where they are: each lies in one of them. Pure.
 *
 * Differs from calicoctl, which enables them: those of a disabled pool are disabled too.
 *
 * @throws {InputError} when it cannot be split so.
 */
export function splitPool(pool: IPPool, parts: number): IPPool[] {
  const { name, labels, annotations } = pool.metadata;
  const cannot = (why: string) => new InputError(`Cannot split IPPool "${name}": ${why}`);
  const bits = Math.log2(parts);
  if (!Number.isInteger(bits) || bits < 1 || parts > maxParts) {
    throw cannot(`the number of parts must be a power of 2 from 2 to ${maxParts}, got ${parts}`);
  }
  const [known] = poolsOf([pool]);
  if (known === undefined) throw cannot(`spec.cidr "${pool.spec.cidr}" cannot be read`);
  const { cidr, blockSize } = known;
  const length = prefixLength(cidr) + bits;
  if (length > blockSize) {
    throw cannot(`${parts} parts of ${cidr} are smaller than its blocks of /${blockSize}`);
  }
  const size = prefixSize(cidr) / BigInt(parts);
  return Array.from({ length: parts }, (_, index) => ({
    apiVersion: pool.apiVersion,
    kind: pool.kind,
    metadata: {
      name: partName(name, index),
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec: {
      ...pool.spec,
      cidr: prefixOf(nthAddress(cidr, size * BigInt(index)), length),
    },
  }));
}

function partName(name: string, index: number): string {
  const suffix = `-${index}`;
  return `split-${name}`.slice(0, maxNameLength - suffix.length) + suffix;
}
