import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { median, ms, type Row, timed } from "../row.ts";
import type { ClaimWork, HostClaim } from "./claim-worker.ts";
import { createCluster, createPool, etcd, withStore } from "./stores.ts";

const hostCount = 50;
const roundCount = 5;
const groupCount = availableParallelism();

/**
 * A claim alone and all at once differ in nothing but the others: the same processes, just as warm, and for
 * each claim a host with a connection of its own that was used once.
 */
export function firstBlocksEtcd(): Promise<Row> {
  return withStore(etcd, async ({ datastore, endpoint }) => {
    await createCluster(datastore, "10.0.0.0/20");
    for (const [index, pool] of ["warm", "alone", ...together].entries()) {
      await createPool(datastore, `10.${index + 1}.0.0/20`, pool);
    }
    const workers = await Promise.all(
      Array.from({ length: groupCount }, (_, group) => startWorker(workOf(group, endpoint))),
    );
    const alone: number[] = [];
    const atOnce: number[] = [];
    for (let round = 0; round < roundCount; round++) {
      for (const worker of workers) alone.push(await timed(() => claim([worker])));
      let addresses: string[] = [];
      atOnce.push(
        await timed(async () => {
          addresses = await claim(workers);
        }),
      );
      if (new Set(addresses).size !== hostCount) throw new Error("an address was given twice");
    }
    for (const worker of workers) worker.disconnect();
    const ratio = median(atOnce) / median(alone);
    return {
      work: "50 hosts claim their first block at once from a /20, etcd",
      measured: `${ms(median(atOnce))}, one claim alone ${ms(median(alone))}: ${ratio.toFixed(1)} x`,
      mustReach: "<= 20 x one uncontended claim",
      reached: ratio <= 20,
    };
  });
}

/** Each round has a pool of its own. */
const together = Array.from({ length: roundCount }, (_, round) => `together${round}`);

function workOf(group: number, endpoint: string): ClaimWork {
  const ofGroup = Array.from({ length: hostCount }, (_, index) => index).filter(
    (index) => index % groupCount === group,
  );
  const rounds = together.flatMap((pool, round): HostClaim[][] => [
    [{ host: `alone${group}-${round}`, pool: "alone" }],
    ofGroup.map((index) => ({ host: `node${index}-${round}`, pool })),
  ]);
  const warmers = [0, 1, 2, 3].map((index) => ({ host: `warm${group}-${index}`, pool: "warm" }));
  return { endpoint, warmers, rounds };
}

async function startWorker(work: ClaimWork): Promise<ChildProcess> {
  const worker = fork(fileURLToPath(new URL("claim-worker.ts", import.meta.url)));
  worker.send(work);
  await once(worker, "message");
  return worker;
}

/** @returns the addresses that the next hosts of these workers were given. */
async function claim(workers: readonly ChildProcess[]): Promise<string[]> {
  const answers = workers.map((worker) => once(worker, "message") as Promise<[string[]]>);
  for (const worker of workers) worker.send("next");
  return (await Promise.all(answers)).flatMap(([addresses]) => addresses);
}
