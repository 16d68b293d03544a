import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { beforeEach, test } from "node:test";
import { runResourceCommand } from "../../../src/cli/resource-command.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { createCluster, ipamOn, pool } from "../ipam/cluster.ts";

const now = new Date("2026-08-22T12:00:00Z");
const hour = 3_600_000;
let datastore = new MemoryDatastore();

beforeEach(async () => {
  datastore = new MemoryDatastore();
  await createCluster(datastore, {
    pools: [pool("pods", { cidr: "10.0.0.0/28", blockSize: 28 })],
    nodes: { node1: {} },
  });
});

/** Addresses assigned so many hours ago; in Go's words or ours; undefined: nobody knows when. */
async function assign(...hours: readonly (number | string | undefined)[]): Promise<void> {
  // The block was claimed long ago, whatever the clock says.
  const clock = { ...systemClock, date: () => new Date(now.getTime() - 1_000 * hour) };
  const ipam = ipamOn(datastore, { ms: clock.date().getTime() - Date.now() });
  for (const [index, ago] of hours.entries()) {
    const time = typeof ago === "number" ? new Date(now.getTime() - ago * hour).toISOString() : ago;
    await ipam.autoAssign({
      node: "node1",
      use: "Workload",
      num4: 1,
      handle: `h${index}`,
      attributes: { node: "node1", ...(time === undefined ? {} : { timestamp: time }) },
    });
  }
}

async function run(words = ""): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const io = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
    stdin: Readable.from([]),
    env: { DATASTORE_TYPE: "embedded" },
  };
  const argv = ["ipam", "forecast", ...words.split(" ").filter((word) => word !== "")];
  const code = await runResourceCommand(argv, io, {
    openDatastore: async () => datastore,
    clock: { ...systemClock, date: () => now },
  });
  return { code, out, err };
}

test("forecast tells when a pool is full at the soonest", async () => {
  // 6 of 16 in use; 2 of them of the last 24 h: 10 free last 120 h.
  await assign(100, 90, 80, 70, 20, "2026-08-22 10:00:03.1 +0000 UTC");
  const { code, out, err } = await run();
  assert.equal(code, 0, err);
  assert.equal(
    out,
    "POOL   CIDR          IPS FREE   IN USE   ASSIGNED   WITHIN   FULL\n" +
      "pods   10.0.0.0/28   10         6        2          1d0h     not before 2026-08-27T12:00:00Z (in 5d0h)\n",
  );
});

test("forecast -o json has every number, and the window that was asked for", async () => {
  await assign(100, 90, 80, 70, 20, 10);
  assert.deepEqual(JSON.parse((await run("-o json --window 48h")).out), {
    windowSeconds: 172_800,
    pools: [
      {
        pool: "pods",
        cidr: "10.0.0.0/28",
        available: 10,
        inUse: 6,
        assigned: 2,
        withoutTime: 0,
        spanSeconds: 172_800,
        verdict: "not-before",
        fullNotBefore: "2026-09-01T12:00:00Z",
      },
    ],
  });
});

test("the rate of a pool that is younger than the window is over its age", async () => {
  await assign(6, 3, 1, 0);
  assert.match(
    (await run()).out,
    / 12 +4 +4 +6h0m +not before 2026-08-23T06:00:00Z \(in 18h0m\)\n$/,
  );
});

for (const [what, hours, verdict] of [
  ["without addresses", [], "never at this rate"],
  ["that got none lately", [100, 90], "never at this rate"],
  ["whose first address is young", [1, 0.5], "cannot say: its first address is too young"],
  [
    "of whose addresses nobody knows the times",
    [100, undefined, undefined],
    "cannot say: of 2 of 3 addresses nobody knows when they were assigned",
  ],
  [
    "with times that nobody can read",
    ["yesterday"],
    "cannot say: of 1 of 1 addresses nobody knows when they were assigned",
  ],
  ["that is full", Array.from({ length: 16 }, () => 100), "now"],
] as const) {
  test(`forecast of a pool ${what}: ${verdict}`, async () => {
    await assign(...hours);
    const { out } = await run();
    assert.ok(out.trimEnd().endsWith(` ${verdict}`), out);
  });
}

for (const [words, message] of [
  ["--window soon", /^Cannot accept --window "soon": Cannot parse duration "soon"/],
  ["--window 0s", /^Cannot accept --window "0s": it must be 1s at least\n$/],
  ["-o yaml", /^Cannot accept -o "yaml": forecast has only json\n$/],
] as const) {
  test(`forecast ${words}: is refused by name`, async () => {
    const { code, err } = await run(words);
    assert.equal(code, 1);
    assert.match(err, message);
  });
}
