import type { FelixConfiguration } from "../api/resources/felix-configuration.ts";
import type { IPPool } from "../api/resources/ip-pool.ts";
import type { Datastore } from "../datastore/datastore.ts";

/** What a node's tunnel addresses, MTU and health checks go by. */
export interface StoredInputs {
  readonly pools: readonly IPPool[];
  readonly configurations: readonly FelixConfiguration[];
}

export async function storedInputs(datastore: Datastore): Promise<StoredInputs> {
  const [pools, configurations] = await Promise.all([
    datastore.list("IPPool"),
    datastore.list("FelixConfiguration"),
  ]);
  return { pools: pools.items, configurations: configurations.items };
}
