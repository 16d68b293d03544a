import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

const grace = `
apiVersion: projectcalico.org/v3
kind: KubeControllersConfiguration
metadata: {name: default}
spec: {controllers: {node: {leakGracePeriod: 2s}}}
`;

/** A lab for tests of garbage collection: two nodes without pods. */
export async function labUp(lab: TestLab, ...more: readonly string[]): Promise<void> {
  await lab.mustLab(
    ...["up", "--encapsulation", "None", "--segments", "1", "--nodes", "2", "--pods", "0"],
    ...more,
  );
}

/** Garbage is collected from now on: an ADD takes longer than this grace period on a busy machine. */
export function collectSoon(lab: TestLab): Promise<void> {
  return lab.apply(grace);
}

/** Waits until `ipam check` finds no problem. */
export async function untilNothingIsWrong(lab: TestLab, what: string): Promise<void> {
  await waitFor(async () => (await lab.cli(["ipam", "check"])).code === 0, {
    timeoutMs: 120_000,
    intervalMs: 500,
    what,
  });
}

export interface Churn {
  readonly pods: number;
  /** `lab pod` programs at once. */
  readonly atOnce: number;
  /** Felix of one node, then of the other, is killed after each so many pods were added. */
  readonly podsPerKill: number;
}

/**
 * Adds pods to both nodes and removes every second one, all in parallel, while felix is killed again and
 * again. Then no two pods have one address; and when all pods are removed nothing is left.
 */
export async function podsComeAndGo(lab: TestLab, config: Churn): Promise<void> {
  const nodes = (await lab.status()).nodes.map(({ name }) => name);
  const nodeOf = (pod: number) => nodes[pod % nodes.length] ?? assert.fail("no node");
  let next = 0;
  let added = 0;
  /** Pods whose ADD has succeeded, and that nobody removes. */
  const kept: string[] = [];
  const killAsDue = () => {
    const kills = added / config.podsPerKill;
    if (added > 0 && Number.isInteger(kills)) killFelix(lab, nodeOf(kills));
  };
  const work = async () => {
    while (next < config.pods) {
      const pod = next++;
      const { code } = await lab.lab("pod", "add", nodeOf(pod), `p${pod}`);
      if (code === 0) added++;
      killAsDue();
      if (pod % 4 >= 2) await lab.lab("pod", "rm", nodeOf(pod), `p${pod}`);
      else if (code === 0) kept.push(`p${pod}`);
    }
  };
  await Promise.all(Array.from({ length: config.atOnce }, work));
  assert.ok(added >= config.podsPerKill, `${added} pods were added`);
  await requireOwnAddresses(lab, new Set(kept));
  await collectSoon(lab);
  await waitFor(() => allRemoved(lab, config.atOnce), { timeoutMs: 180_000, what: "DEL" });
  await untilNothingIsWrong(lab, "an end of all leaks");
}

async function requireOwnAddresses(lab: TestLab, names: ReadonlySet<string>): Promise<void> {
  const holders = new Map<string, string>();
  const pods = (await lab.status()).pods.filter(({ name }) => names.has(name));
  assert.equal(pods.length, names.size);
  for (const { name, addresses } of pods) {
    assert.ok(addresses.length > 0, `${name} has no address`);
    for (const address of addresses) {
      assert.equal(holders.get(address), undefined, `${address} is ${name}'s too`);
      holders.set(address, name);
    }
  }
}

/** Whether no pod is left; a DEL that felix's end has cut short is made again. */
async function allRemoved(lab: TestLab, atOnce: number): Promise<boolean> {
  const left = [...(await lab.status()).pods];
  const work = async () => {
    for (let pod = left.pop(); pod !== undefined; pod = left.pop()) {
      await lab.lab("pod", "rm", pod.node, pod.name);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return (await lab.status()).pods.length === 0;
}

function killFelix(lab: TestLab, node: string): void {
  const file = join(lab.folder, lab.name, "nodes", node, "run", "felix.pid");
  try {
    process.kill(Number.parseInt(readFileSync(file, "utf8"), 10), "SIGKILL");
  } catch (error) {
    // It is dead already, and its supervisor has not started the next.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "ENOENT") throw error;
  }
}
