import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { checkInvariants, createCluster, inUse, ipamOn, pool } from "../unit/ipam/cluster.ts";

const folder = mkdtempSync(join(tmpdir(), "tortie-ipam-"));
after(() => rmSync(folder, { recursive: true }));

const source = (path: string) => new URL(`../../${path}`, import.meta.url).href;
const workerFile = join(folder, "worker.mjs");

/** Assigns and releases, and says so on a line each, when it is done. */
writeFileSync(
  workerFile,
  `
import { openEmbeddedDatastore } from "${source("src/datastore/embedded/embedded-datastore.ts")}";
import { Ipam } from "${source("src/ipam/ipam.ts")}";
import { systemClock } from "${source("src/lib/clock.ts")}";
const [folder, node, id, rounds] = process.argv.slice(2);
const datastore = openEmbeddedDatastore(folder);
const ipam = new Ipam({ datastore, clock: systemClock, random: Math.random });
const held = [];
for (let i = 0; i < Number(rounds); i++) {
  if (i % 3 === 2) {
    const handle = held.shift();
    process.stdout.write("releasing " + handle + "\\n");
    await ipam.releaseByHandle(handle);
    continue;
  }
  const handle = "pod-" + id + "-" + i;
  process.stdout.write("assigning " + handle + "\\n");
  const [{ address }] = await ipam.autoAssign({ node, use: "Workload", handle, attributes: { pod: handle }, num4: 1 });
  held.push(handle);
  process.stdout.write("assigned " + handle + " " + address + "\\n");
}
await datastore.close();
`,
);

interface Worker {
  readonly lines: string[];
  readonly ended: Promise<number | null>;
  kill(): void;
}

function startWorker(store: string, worker: { node: string; id: number; rounds: number }): Worker {
  const { node, id, rounds } = worker;
  const child = spawn(process.execPath, [workerFile, store, node, `${id}`, `${rounds}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { lines, ended, kill: () => void child.kill("SIGKILL") };
}

test("processes on one embedded datastore, one of them killed, give no address twice and lose none", async () => {
  const store = join(folder, "store");
  const datastore = openEmbeddedDatastore(store);
  try {
    await createCluster(datastore, { pools: [pool("v4", { cidr: "10.0.0.0/22", blockSize: 28 })] });
    const workers = [0, 1, 2, 3, 4].map((id) =>
      startWorker(store, { node: `node${id % 3}`, id, rounds: id === 4 ? 100_000 : 90 }),
    );
    const [victim] = workers.slice(-1);
    assert.ok(victim !== undefined);
    const others = workers.slice(0, -1);
    const deadline = Date.now() + 60_000;
    while (victim.lines.length < 25 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    victim.kill();
    await victim.ended;
    for (const worker of others) assert.equal(await worker.ended, 0);

    const ipam = ipamOn(datastore);
    await checkInvariants(datastore, { exact: false });
    for (const line of victim.lines) {
      const [word, handle = ""] = line.split(" ");
      if (word === "assigning") await ipam.releaseByHandle(handle);
    }
    const expected = new Map<string, string>();
    for (const line of others.flatMap(({ lines }) => lines)) {
      const [word, handle = "", address = ""] = line.split(" ");
      if (word === "assigned") expected.set(handle, address);
      if (word === "releasing") expected.delete(handle);
    }
    assert.equal(new Set(expected.values()).size, expected.size, "no address is held twice");
    const handles = [...(await inUse(datastore)).values()];
    assert.deepEqual(handles.sort(), [...expected.keys()].sort());
    await checkInvariants(datastore, { exact: true });
  } finally {
    await datastore.close();
  }
});
