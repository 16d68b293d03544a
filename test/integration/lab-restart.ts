import assert from "node:assert/strict";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import type { TestLab } from "../support/lab.ts";
import { SteadyPing } from "../support/steady-ping.ts";
import { waitFor } from "../support/wait-for.ts";

/** Pings between the first pods of all nodes, in each direction, while `act` runs: none may be lost. */
export async function losesNoPacket(status: LabStatus, act: () => Promise<void>): Promise<void> {
  const pods = status.nodes.map(({ name }) => {
    const pod = status.pods.find(({ node }) => node === name);
    return pod ?? assert.fail(`${name} has no pod`);
  });
  const pings = pods.flatMap((from) =>
    pods
      .filter((to) => to !== from)
      .map(({ node, addresses: [address = ""] }) => {
        return new SteadyPing(`${from.node} to ${node}`, from.netns, address);
      }),
  );
  const lost = new Map<string, readonly number[]>();
  try {
    await Promise.all(pings.map((ping) => ping.answers()));
    await act();
  } finally {
    await Promise.all(
      pings.map(async (ping) => lost.set(ping.what, await ping.lost().catch(() => [-1]))),
    );
  }
  for (const [what, seqs] of lost) assert.deepEqual(seqs, [], `requests lost from ${what}`);
}

/** Kills the speaker of a node, waits for the next one and gives its pid. */
export async function killSpeaker(lab: TestLab, node: string): Promise<number> {
  const pid = (await pidOf(lab, node)) ?? assert.fail(`the speaker of ${node} does not run`);
  process.kill(pid, "SIGKILL");
  return waitFor(
    async () => {
      const now = await pidOf(lab, node);
      return now === pid ? undefined : now;
    },
    { timeoutMs: 20_000, what: "the next speaker" },
  );
}

/** All sessions of all nodes are Established. */
export async function allEstablished(lab: TestLab): Promise<void> {
  await waitFor(
    async () => {
      const { nodes } = await lab.status();
      return nodes.every(
        ({ peers }) => peers.length > 0 && peers.every(({ state }) => state === "Established"),
      );
    },
    { timeoutMs: 30_000, what: "all sessions" },
  );
}

async function pidOf(lab: TestLab, node: string): Promise<number | undefined> {
  const { nodes } = await lab.status();
  return nodes.find(({ name }) => name === node)?.pids.bgp ?? undefined;
}
