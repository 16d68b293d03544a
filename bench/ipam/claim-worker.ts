import { once } from "node:events";
import { openEtcdDatastore } from "../../src/datastore/etcd/etcd-datastore.ts";
import { assignOne, ipamOn } from "./assign.ts";

/** Some of the hosts that claim at once: a process of its own, as a host has a processor of its own. */
export interface ClaimWork {
  readonly endpoint: string;
  /** They claim before anything is measured, so that no code runs for the first time. */
  readonly warmers: readonly HostClaim[];
  /** At each word from the parent the next of these claims at once. */
  readonly rounds: readonly (readonly HostClaim[])[];
}

export interface HostClaim {
  readonly host: string;
  readonly pool: string;
}

const [{ endpoint, warmers, rounds }] = (await once(process, "message")) as [ClaimWork];

/** A claim of a host, which has a connection of its own, used once. */
async function readyClaim({ host, pool }: HostClaim): Promise<() => Promise<string>> {
  const datastore = await openEtcdDatastore({ endpoints: [endpoint] });
  await datastore.list("IPPool");
  return () => assignOne(ipamOn(datastore), host, host, [pool]);
}

const ready = await Promise.all(rounds.map((claims) => Promise.all(claims.map(readyClaim))));
for (const warmer of warmers) await (await readyClaim(warmer))();
let round = 0;
process.on("message", async () => {
  const claims = ready[round++] ?? [];
  process.send?.(await Promise.all(claims.map((claim) => claim())));
});
process.send?.("ready");
