import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FelixNode } from "../../test/integration/felix-node.ts";
import { CniRuntime, cniPlugins } from "../../test/support/cni.ts";
import { TestNetns } from "../../test/support/netns.ts";
import { podCluster } from "../pod-cluster.ts";
import { median, ms, type Row, timed } from "../row.ts";

/** Of ten policies, of which one allows what is sent. */
const ports = [80, ...Array.from({ length: 9 }, (_, index) => 8001 + index)];
const mustReachMs = 100;
const mustReach = `p99 <= ${mustReachMs} ms`;

/** A runtime adds pods one after the other; another pod tries to reach each. */
export async function policyReadyRow(
  backend: "nft" | "legacy",
  { quick }: { readonly quick: boolean },
): Promise<Row> {
  const work = `CNI ADD of a pod with ${ports.length} policies until its first allowed packet, ${backend}`;
  if (!existsSync(cniPlugins.shim)) {
    return { work, measured: `not measured: no ${cniPlugins.shim}`, mustReach };
  }
  const felix = new FelixNode("ready", { FELIX_IPTABLESBACKEND: backend.toUpperCase() });
  const client = new TestNetns("client");
  let sender: ChildProcess | undefined;
  try {
    for (const resource of podCluster(ports)) await felix.datastore.create(resource as never);
    await felix.start();
    const runtime = new CniRuntime(cniPlugins.shim, join(felix.folder, "cni.sock"));
    await add(runtime, "client", client);
    sender = await startSender(client.name);
    const times: number[] = [];
    for (let pod = 0; pod < (quick ? 20 : 100); pod++) {
      times.push(await untilAnswered(runtime, `pod${pod}`, sender));
    }
    const sorted = times.toSorted((a, b) => a - b);
    const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN;
    const measured = `p50 ${ms(median(times))}, p99 ${ms(p99)} of ${times.length}`;
    return { work, measured, mustReach, reached: p99 <= mustReachMs };
  } finally {
    sender?.disconnect();
    client.remove();
    await felix.close();
  }
}

async function untilAnswered(
  runtime: CniRuntime,
  name: string,
  sender: ChildProcess,
): Promise<number> {
  using netns = new TestNetns("pod");
  const took = await timed(async () => {
    const address = await add(runtime, name, netns);
    const answered = once(sender, "message");
    sender.send(address);
    await answered;
  });
  await runtime.call({ command: "DEL", pod: name, netns: netns.path });
  return took;
}

async function add(runtime: CniRuntime, pod: string, netns: TestNetns): Promise<string> {
  const { code, answer, stdout } = await runtime.call({ command: "ADD", pod, netns: netns.path });
  const address = answer.ips?.[0]?.address.split("/")[0];
  if (code !== 0 || address === undefined) throw new Error(`Cannot add ${pod}: ${stdout}`);
  return address;
}

async function startSender(netns: string): Promise<ChildProcess> {
  const program = fileURLToPath(new URL("first-packet.ts", import.meta.url));
  const sender = spawn("ip", ["netns", "exec", netns, process.execPath, program], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  await once(sender, "message");
  return sender;
}
