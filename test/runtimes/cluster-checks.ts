import type { Cluster, RunningPod } from "../support/runtimes/cluster.ts";
import { SteadyPing } from "../support/steady-ping.ts";
import { waitFor } from "../support/wait-for.ts";

/** Waits until each node's sessions are Established, and with these nodes. All are by number. */
export async function sessionsAre(
  cluster: Cluster,
  wanted: readonly (readonly number[])[],
): Promise<void> {
  await waitFor(
    async () => {
      const states = await Promise.all(cluster.nodes.map((node) => node.sessions()));
      return states.every((sessions, index) => {
        const addresses = sessions.map(({ address }) => address).sort();
        const peers = wanted[index]?.map((number) => cluster.node(number).address) ?? [];
        return (
          addresses.join() === peers.join() &&
          sessions.every(({ state }) => state === "Established")
        );
      });
    },
    { timeoutMs: 120_000, intervalMs: 200, what: "the sessions" },
  );
}

/** Of a cluster of three. */
export function meshIsUp(cluster: Cluster): Promise<void> {
  return sessionsAre(cluster, [
    [2, 3],
    [1, 3],
    [1, 2],
  ]);
}

/** Pings from one pod to another while `act` runs. @returns the numbers of those without answer. */
export async function lostWhile(
  [from, to]: readonly [RunningPod, RunningPod],
  act: () => Promise<void>,
): Promise<readonly number[]> {
  const ping = new SteadyPing(`${from.name} to ${to.name}`, from.netns, to.address);
  try {
    await ping.answers();
    await act();
  } catch (error) {
    await ping.stop();
    throw error;
  }
  return await ping.lost();
}

export async function untilReached(from: RunningPod, address: string): Promise<void> {
  const { cri } = from.node.containerd;
  const ping = () => cri.exec(from, "ping", "-c", "1", "-W", "2", address);
  await waitFor(async () => (await ping()).code === 0, {
    timeoutMs: 60_000,
    what: `an answer of ${address} to ${from.name}`,
  });
}

/** Waits until `ipam check` finds nothing, while leaks are given back soon. */
export async function untilNothingLeaks(cluster: Cluster): Promise<void> {
  await leakGracePeriod(cluster, "2s");
  await waitFor(async () => (await cluster.cli(["ipam", "check"])).code === 0, {
    timeoutMs: 120_000,
    intervalMs: 500,
    what: "an end of all leaks",
  });
  await leakGracePeriod(cluster, "15m");
}

/** How soon leaks are given back. 15m is Calico's; an ADD takes longer than 2s on a busy machine. */
export function leakGracePeriod(cluster: Cluster, grace: "2s" | "15m"): Promise<void> {
  return cluster.apply(`
apiVersion: projectcalico.org/v3
kind: KubeControllersConfiguration
metadata: {name: default}
spec: {controllers: {node: {leakGracePeriod: ${grace}}, loadBalancer: {assignIPs: AllServices}}}
`);
}

export const meshEnabled = (nodeToNodeMeshEnabled: boolean, more = ""): string => `
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {nodeToNodeMeshEnabled: ${nodeToNodeMeshEnabled}${more}}
`;
