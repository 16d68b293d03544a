import { type PoolEncapsulation, poolEncapsulation } from "../../api/pool-encapsulation.ts";
import type { IPPool } from "../../api/resources/ip-pool.ts";
import { type Prefix, parsePrefix } from "../../lib/prefix.ts";

export interface BgpPool extends PoolEncapsulation {
  readonly prefix: Prefix;
  readonly disabled: boolean;
  readonly exportDisabled: boolean;
}

/** @throws {SyntaxError} when the pool's CIDR cannot be read. */
export function bgpPool(pool: IPPool): BgpPool {
  const { spec } = pool;
  return {
    ...poolEncapsulation(pool),
    prefix: parsePrefix(spec.cidr),
    disabled: spec.disabled === true,
    exportDisabled: spec.disableBGPExport === true,
  };
}
