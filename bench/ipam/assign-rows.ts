import type { Datastore } from "../../src/datastore/datastore.ts";
import type { Ipam } from "../../src/ipam/ipam.ts";
import { median, ms, type Row, timed, timesOf } from "../row.ts";
import { assignOne, ipamOn } from "./assign.ts";
import { createCluster, createNode, embedded, etcd, withStore } from "./stores.ts";

const atOnce = 16;

export function oneHostEmbedded(): Promise<Row> {
  return withStore(embedded, async ({ datastore }) => {
    await createCluster(datastore, "10.0.0.0/16");
    for (const node of ["node1", "node2"]) await createNode(datastore, node);
    const ipam = ipamOn(datastore);
    const times = await timesOf(1_000, (index) => assignOne(ipam, "node1", `p${index}`));
    const alone = 1_000 / median(times);
    const together = await rateAtOnce(ipam);
    return {
      work: "one host, 1,000 calls of one address each, own handle each, embedded",
      measured: `one at a time ${Math.round(alone)} a second (p50 ${ms(median(times))}), in bursts of ${atOnce} at once ${Math.round(together)} a second`,
      mustReach: ">= 5,000 a second",
      reached: Math.max(alone, together) >= 5_000,
    };
  });
}

/** Calls a second where as many come in one turn, as of pods that start together: by the median of such bursts. */
async function rateAtOnce(ipam: Ipam): Promise<number> {
  const burst = (index: number) =>
    Promise.all(
      Array.from({ length: atOnce }, (_, pod) => assignOne(ipam, "node2", `q${index}-${pod}`)),
    );
  return (1_000 * atOnce) / median(await timesOf(Math.ceil(1_000 / atOnce), burst));
}

export function oneHostEtcd(): Promise<Row> {
  return withStore(etcd, async ({ datastore }) => {
    await createCluster(datastore, "10.0.0.0/16");
    await createNode(datastore, "node1");
    const ipam = ipamOn(datastore);
    const times: number[] = [];
    const single: number[] = [];
    // In turn, so that both see the same machine.
    for (let index = 0; index < 1_000; index++) {
      times.push(await timed(() => assignOne(ipam, "node1", `p${index}`)));
      const handle = await datastore.get({
        kind: "IPAMHandle",
        name: `k8s-pod-network.p${index}`,
      });
      single.push(await timed(() => datastore.update<"IPAMHandle">(handle)));
    }
    const ratio = median(times) / median(single);
    return {
      work: "the same on etcd",
      measured: `p50 ${ms(median(times))}, one transaction ${ms(median(single))}: ${ratio.toFixed(1)} x`,
      mustReach: "<= 3.5 x one transaction",
      reached: ratio <= 3.5,
    };
  });
}

const hosts = Array.from({ length: 50 }, (_, index) => `node${index}`);

export function fiftyHostsEtcd(): Promise<Row> {
  return withStore(etcd, async ({ datastore, connect }) => {
    await createCluster(datastore, "10.0.0.0/16");
    const counts = { tried: 0, written: 0 };
    const ipams: Ipam[] = [];
    for (const _host of hosts) ipams.push(ipamOn(countingBlocks(await connect(), counts)));
    const addresses: string[] = [];
    const add = async (index: number, pod: number) => {
      const ipam = ipams[index];
      const node = hosts[index];
      if (ipam === undefined || node === undefined) return;
      addresses.push(await assignOne(ipam, node, `${node}-${pod}`));
    };
    await Promise.all(hosts.map((_, index) => add(index, 0)));
    Object.assign(counts, { tried: 0, written: 0 });
    const tookMs = await timed(() =>
      Promise.all(
        hosts.map(async (_, index) => {
          for (let pod = 1; pod <= 100; pod++) await add(index, pod);
        }),
      ),
    );
    const duplicates = addresses.length - new Set(addresses).size;
    const ratio = counts.tried / counts.written;
    return {
      work: "50 hosts x 100 addresses at once, etcd",
      measured: `${duplicates} duplicates, ${ratio.toFixed(3)} block writes tried per block written, ${Math.round(5_000_000 / tookMs)} a second`,
      mustReach: "0 duplicates, <= 1.05",
      reached: duplicates === 0 && ratio <= 1.05,
    };
  });
}

/** The same datastore, with writes of blocks counted. */
function countingBlocks(
  datastore: Datastore,
  counts: { tried: number; written: number },
): Datastore {
  return {
    get: (key) => datastore.get(key),
    list: (kind, options) => datastore.list(kind, options),
    create: (resource) => datastore.create(resource),
    update: async (resource) => {
      const isBlock = (resource as { kind: string }).kind === "IPAMBlock";
      if (isBlock) counts.tried++;
      const written = await datastore.update(resource);
      if (isBlock) counts.written++;
      return written;
    },
    delete: (key, version) => datastore.delete(key, version),
    watch: (kinds, revision, signal) => datastore.watch(kinds, revision, signal),
    close: () => datastore.close(),
  };
}
