import { createCluster } from "../unit/ipam/cluster.ts";
import type { SoakServer } from "./soak.ts";

/** Where nodes are the datastore's own. */
export async function createNode(server: Pick<SoakServer, "open">, name: string): Promise<void> {
  const datastore = await server.open();
  try {
    await createCluster(datastore, { pools: [], nodes: { [name]: {} } });
  } finally {
    await datastore.close();
  }
}
