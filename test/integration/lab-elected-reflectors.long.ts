import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { ControllersStatus } from "../../src/controllers/status-file.ts";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";
import { losesNoPacket } from "./lab-restart.ts";

/** Five nodes without encapsulation: each pod's way is a route that a session has told. */

const lab = new TestLab("er");
let status: LabStatus;

before(async () => {
  await lab.mustLab(
    ...["up", "--encapsulation", "None", "--segments", "1", "--nodes", "5", "--pods", "1"],
  );
  status = await lab.status();
});
after(() => lab.down());

async function ask(annotation: string | null): Promise<void> {
  const annotations = { "tortie.dev/route-reflectors": annotation };
  const patch = JSON.stringify({ metadata: { annotations } });
  const { code, stderr } = await lab.cli(["patch", "bgpconfiguration", "default", "-p", patch]);
  assert.equal(code, 0, stderr);
}

function told(): ControllersStatus["reflectors"] {
  const path = join(lab.folder, lab.name, "controllers", "status.json");
  return (JSON.parse(readFileSync(path, "utf8")) as ControllersStatus).reflectors;
}

/** The controllers tell of this phase, and each node has Established sessions with these nodes and no other. */
async function reached(
  phase: string,
  wanted: (elected: ReadonlySet<string>) => (node: string) => readonly string[],
): Promise<ReadonlySet<string>> {
  return await waitFor(
    async () => {
      const state = told();
      if (state?.phase !== phase) return undefined;
      const elected = new Set(state.reflectors);
      const { nodes } = await lab.status();
      const names = new Map(nodes.map(({ name, address }) => [address, name]));
      const isRight = nodes.every(({ name, peers }) => {
        const up = peers.filter(({ state: each }) => each === "Established");
        const with_ = up.map(({ address }) => names.get(address) ?? address).sort();
        return up.length === peers.length && with_.join() === wanted(elected)(name).join();
      });
      return isRight ? elected : undefined;
    },
    { timeoutMs: 180_000, intervalMs: 500, what: `"${phase}": ${JSON.stringify(told())}` },
  );
}

const names = ["node1", "node2", "node3", "node4", "node5"];
const meshed = () => (node: string) => names.filter((each) => each !== node);
const reflected = (elected: ReadonlySet<string>) => (node: string) =>
  names.filter((each) => each !== node && (elected.has(each) || elected.has(node)));

test("mesh, reflectors, one that is drained, and the mesh again: no packet is lost", async () => {
  await lab.apply(
    "{apiVersion: projectcalico.org/v3, kind: BGPConfiguration, metadata: {name: default}, spec: {}}",
  );
  await losesNoPacket(status, async () => {
    await ask("2 per zone from 4 nodes");
    const first = await reached("reflectors", reflected);
    assert.equal(first.size, 2);
    const [leaving = "", staying = ""] = first;
    assert.equal((await lab.cli(["node", "drain", leaving])).code, 0);
    const second = await waitFor(
      async () => {
        const elected = await reached("reflectors", reflected);
        return elected.has(leaving) ? undefined : elected;
      },
      { timeoutMs: 120_000, what: "another reflector" },
    );
    assert.equal(second.size, 2);
    assert.ok(second.has(staying), "who need not move stays");
    await ask("2 per zone from 6 nodes, mesh below 6");
    assert.equal((await reached("mesh", meshed)).size, 0);
  });
  const { stdout } = await lab.cli(["get", "bgppeer", "-o", "name"]);
  assert.doesNotMatch(stdout, /tortie/);
});
