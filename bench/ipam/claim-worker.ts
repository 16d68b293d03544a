import { once } from "node:events";
import { openEtcdDatastore } from "../../src/datastore/etcd/etcd-datastore.ts";
import { assignOne, ipamOn } from "./assign.ts";

/** Some of the hosts that claim at once: a process of its own, as a host has a processor of its own. */
export interface ClaimWork {
  readonly endpoint: string;
  /** Their blocks are claimed from the pool "warm" before, so that no code runs for the first time. */
  readonly warmers: readonly string[];
  readonly hosts: readonly string[];
}

const [{ endpoint, warmers, hosts }] = (await once(process, "message")) as [ClaimWork];
const connect = async () => {
  const datastore = await openEtcdDatastore({ endpoints: [endpoint] });
  await datastore.list("IPPool");
  return datastore;
};
const claims = await Promise.all(
  hosts.map(async (host) => {
    const ipam = ipamOn(await connect());
    return () => assignOne(ipam, host, host, ["pods"]);
  }),
);
for (const warmer of warmers) await assignOne(ipamOn(await connect()), warmer, warmer, ["warm"]);
process.send?.("ready");
await once(process, "message");
const addresses = await Promise.all(claims.map((claim) => claim()));
process.send?.(addresses, () => process.exit(0));
