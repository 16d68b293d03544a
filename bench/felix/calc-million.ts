import { keyOf } from "../../src/api/resource-key.ts";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import { CalcGraph } from "../../src/felix/calc/calc-graph.ts";
import { calculate } from "../../src/felix/calculate.ts";
import { felixConfig } from "../../src/felix/config/felix-config.ts";
import { IpSetManager } from "../../src/felix/dataplane/ip-set-manager.ts";
import { IpSets } from "../../src/kernel/ipset/ip-sets.ts";
import { inNetns } from "../../src/kernel/netns.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { globalPolicy, networkSet, pod, profile } from "../../test/states/resources.ts";
import { TestNetns } from "../../test/support/netns.ts";
import { type Watched, watched } from "./calc-blocked.ts";

export const members = 1_000_000;
const netsPerSet = 1_000;

export interface MillionReport {
  readonly steps: Readonly<
    Record<string, Pick<Watched<unknown>, "blockedMs" | "blockedProcessorMs">>
  >;
  readonly rssMb: number;
}

/** A set of a million members from network sets to the kernel of a namespace, and compared with it again. */
export async function millionMembers(): Promise<MillionReport> {
  using netns = new TestNetns("million");
  const kernelSets = inNetns(netns.fd, () => new IpSets(4, "cali40"));
  const manager = new IpSetManager(4, kernelSets, felixConfig({ env: {} }));
  const graph = new CalcGraph({ nodeName: "node-a" });
  for (const resource of cluster()) graph.update(keyOf(resource), resource);
  graph.setInSync();
  const steps: Record<string, MillionReport["steps"][string]> = {};
  let rssMb = 0;
  const step = async <Result>(name: string, work: () => Promise<Result>): Promise<Result> => {
    const { result, blockedMs, blockedProcessorMs, ...seen } = await watched(work);
    steps[name] = { blockedMs, blockedProcessorMs };
    rssMb = seen.rssMb;
    return result;
  };
  const updates = await step("calculated", () => calculate(graph, systemClock));
  await step("written", async () => {
    for (const update of updates) manager.onUpdate(update);
    await kernelSets.apply();
  });
  await step("compared", async () => {
    kernelSets.resync();
    await kernelSets.apply();
  });
  const listed = netns.run("ipset", ["list", "-t"]);
  if (!listed.includes(`Number of entries: ${members}`)) {
    throw new Error(
      `Cannot trust the row: the kernel has no set of ${members} members:\n${listed}`,
    );
  }
  kernelSets.close();
  return { steps, rssMb };
}

function* cluster(): Generator<AnyResource> {
  yield pod("web", { ip: "10.0.0.1/32" });
  yield profile("kns.prod");
  yield globalPolicy("p", { ingress: [{ action: "Deny", source: { selector: "has(listed)" } }] });
  for (let i = 0; i * netsPerSet < members; i++) {
    const nets = Array.from({ length: netsPerSet }, (_, k) => addressOf(i * netsPerSet + k));
    yield networkSet(`set-${i}`, nets, { labels: { listed: "yes" } });
  }
}

function addressOf(index: number): string {
  return `11.${index >> 16}.${(index >> 8) & 255}.${index & 255}/32`;
}
