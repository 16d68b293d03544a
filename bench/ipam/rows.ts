import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IPPool } from "../../src/api/resources/ip-pool.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { openEtcdDatastore } from "../../src/datastore/etcd/etcd-datastore.ts";
import { runSyncer } from "../../src/datastore/reflector.ts";
import { Ipam } from "../../src/ipam/ipam.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { EtcdServer } from "../../test/support/etcd-server.ts";

/** One row of the table in docs/bench/ipam.md. */
export interface Row {
  readonly work: string;
  readonly measured: string;
  readonly mustReach: string;
  /** Undefined: nothing must be reached, or it was not measured. */
  readonly reached?: boolean;
}

/** A datastore in use, and what ends it. */
interface Store {
  readonly datastore: Datastore;
  /** Another process' view of the same. */
  connect(): Promise<Datastore>;
  end(): Promise<void>;
}

async function embedded(): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), "tortie-bench-"));
  const opened: Datastore[] = [];
  const connect = async () => {
    const datastore = openEmbeddedDatastore(folder);
    opened.push(datastore);
    return datastore;
  };
  const end = async () => {
    for (const each of opened) await each.close();
    rmSync(folder, { recursive: true });
  };
  return { datastore: await connect(), connect, end };
}

async function etcd(): Promise<Store> {
  const server = await EtcdServer.start();
  const opened: Datastore[] = [];
  const connect = async () => {
    const datastore = await openEtcdDatastore({ endpoints: [server.endpoint] });
    opened.push(datastore);
    return datastore;
  };
  const end = async () => {
    for (const each of opened) await each.close();
    await server.stop();
  };
  return { datastore: await connect(), connect, end };
}

async function withStore<Result>(
  open: () => Promise<Store>,
  work: (store: Store) => Promise<Result>,
): Promise<Result> {
  const store = await open();
  try {
    return await work(store);
  } finally {
    await store.end();
  }
}

async function createPool(datastore: Datastore, cidr: string): Promise<void> {
  const pool: IPPool = {
    apiVersion: "projectcalico.org/v3",
    kind: "IPPool",
    metadata: { name: "pods" },
    spec: { cidr },
  };
  await datastore.create<"IPPool">(pool);
  const { apiVersion } = pool;
  const metadata = { name: "default" };
  await datastore.create<"IPAMConfiguration">({
    apiVersion,
    kind: "IPAMConfiguration",
    metadata,
    spec: {},
  });
}

function ipamOn(datastore: Datastore): Ipam {
  return new Ipam({ datastore, clock: systemClock, random: Math.random });
}

async function assignOne(ipam: Ipam, node: string, pod: string): Promise<string> {
  const [assigned] = await ipam.autoAssign({
    node,
    use: "Workload",
    num4: 1,
    handle: `k8s-pod-network.${pod}`,
    attributes: { node, pod, namespace: "default", timestamp: new Date().toISOString() },
  });
  return assigned?.address ?? "";
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

async function timesOf(count: number, work: (index: number) => Promise<unknown>) {
  const times: number[] = [];
  for (let index = 0; index < count; index++) times.push(await timed(() => work(index)));
  return times;
}

const ms = (value: number) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;

export function oneHostEmbedded(): Promise<Row> {
  return withStore(embedded, async ({ datastore }) => {
    await createPool(datastore, "10.0.0.0/16");
    const ipam = ipamOn(datastore);
    const times = await timesOf(1_000, (index) => assignOne(ipam, "node1", `p${index}`));
    const rate = 1_000 / median(times);
    return {
      work: "one host, 1,000 calls of one address each, own handle each, embedded",
      measured: `${Math.round(rate)} a second (p50 ${ms(median(times))})`,
      mustReach: ">= 5,000 a second",
      reached: rate >= 5_000,
    };
  });
}

export function oneHostEtcd(): Promise<Row> {
  return withStore(etcd, async ({ datastore }) => {
    await createPool(datastore, "10.0.0.0/16");
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
    await createPool(datastore, "10.0.0.0/16");
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

export async function firstBlocksEtcd(): Promise<Row> {
  const claimMs = await withStore(etcd, async ({ datastore }) => {
    await createPool(datastore, "10.0.0.0/20");
    return median(
      await timesOf(9, (index) => assignOne(ipamOn(datastore), `single${index}`, `s${index}`)),
    );
  });
  return await withStore(etcd, async ({ datastore, connect }) => {
    await createPool(datastore, "10.0.0.0/20");
    const ipams: Ipam[] = [];
    for (const _host of hosts) ipams.push(ipamOn(await connect()));
    const tookMs = await timed(() =>
      Promise.all(ipams.map((ipam, index) => assignOne(ipam, `node${index}`, `p${index}`))),
    );
    return {
      work: "50 hosts claim their first block at once from a /20, etcd",
      measured: `${ms(tookMs)}, one claim alone ${ms(claimMs)}: ${(tookMs / claimMs).toFixed(1)} x`,
      mustReach: "<= 20 x one uncontended claim",
      reached: tookMs <= 20 * claimMs,
    };
  });
}

export async function syncerRow(name: "embedded" | "etcd", objects: number): Promise<Row> {
  return await withStore(name === "etcd" ? etcd : embedded, async ({ datastore }) => {
    await fill(datastore, objects);
    const listMs: number[] = [];
    const syncMs: number[] = [];
    for (let round = 0; round < 3; round++) {
      listMs.push(await timed(() => datastore.list("IPAMHandle")));
      syncMs.push(await timed(() => untilInSync(datastore)));
    }
    const ratio = median(syncMs) / median(listMs);
    return {
      work: `syncer: ${objects.toLocaleString("en")} objects in sync, ${name}`,
      measured: `${ms(median(syncMs))}, bare list ${ms(median(listMs))}: ${ratio.toFixed(2)} x`,
      mustReach: "<= 2 x the bare list",
      reached: ratio <= 2,
    };
  });
}

async function fill(datastore: Datastore, objects: number): Promise<void> {
  const atOnce = 200;
  for (let from = 0; from < objects; from += atOnce) {
    await Promise.all(
      Array.from({ length: Math.min(atOnce, objects - from) }, (_, offset) =>
        datastore.create<"IPAMHandle">({
          apiVersion: "projectcalico.org/v3",
          kind: "IPAMHandle",
          metadata: { name: `k8s-pod-network.${from + offset}` },
          spec: {
            handleID: `k8s-pod-network.${from + offset}`,
            block: { "10.0.0.0/26": 1 },
            deleted: false,
          },
        }),
      ),
    );
  }
}

async function untilInSync(datastore: Datastore): Promise<void> {
  const stop = new AbortController();
  const callbacks = {
    onUpdates: () => undefined,
    onStatus: (status: string) => {
      if (status === "in-sync") stop.abort();
    },
  };
  await runSyncer(
    { kinds: ["IPAMHandle"] },
    { datastore, callbacks, clock: systemClock },
    stop.signal,
  );
}
