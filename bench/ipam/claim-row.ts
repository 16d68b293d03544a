import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { median, ms, type Row, timed, timesOf } from "../row.ts";
import { assignOne, ipamOn } from "./assign.ts";
import type { ClaimWork } from "./claim-worker.ts";
import { createCluster, createPool, etcd, withStore } from "./stores.ts";

const hosts = Array.from({ length: 50 }, (_, index) => `node${index}`);

export function firstBlocksEtcd(): Promise<Row> {
  return withStore(etcd, async ({ datastore, endpoint }) => {
    await createCluster(datastore, "10.0.0.0/20");
    await createPool(datastore, "10.1.0.0/20", "warm");
    const claimMs = median(
      await timesOf(15, (index) =>
        assignOne(ipamOn(datastore), `single${index}`, `s${index}`, ["warm"]),
      ),
    );
    const groups = Array.from({ length: availableParallelism() }, (_, group) =>
      hosts.filter((_host, index) => index % availableParallelism() === group),
    );
    const workers = await Promise.all(
      groups.map((each, group) => {
        const warmers = [0, 1, 2, 3].map((index) => `warm${group}-${index}`);
        return startWorker({ endpoint, warmers, hosts: each });
      }),
    );
    const answers = workers.map((worker) => once(worker, "message"));
    const tookMs = await timed(() => {
      for (const worker of workers) worker.send("go");
      return Promise.all(answers);
    });
    const addresses = (await Promise.all(answers)).flatMap(([own]) => own as string[]);
    if (new Set(addresses).size !== hosts.length) throw new Error("an address was given twice");
    return {
      work: "50 hosts claim their first block at once from a /20, etcd",
      measured: `${ms(tookMs)}, one claim alone ${ms(claimMs)}: ${(tookMs / claimMs).toFixed(1)} x`,
      mustReach: "<= 20 x one uncontended claim",
      reached: tookMs <= 20 * claimMs,
    };
  });
}

async function startWorker(work: ClaimWork): Promise<ChildProcess> {
  const worker = fork(fileURLToPath(new URL("claim-worker.ts", import.meta.url)));
  worker.send(work);
  await once(worker, "message");
  return worker;
}
