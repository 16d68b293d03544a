import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runAgentSocket } from "../../src/cni/agent-service.ts";
import type { CniAnswer, CniCall } from "../../src/cni/protocol.ts";
import type { Ipam } from "../../src/ipam/ipam.ts";
import { createLogger } from "../../src/lib/log.ts";
import { cniPlugins } from "../../test/support/cni.ts";
import { median, ms, type Row, timed } from "../row.ts";
import { assignOne, ipamOn } from "./assign.ts";
import { createCluster, embedded, withStore } from "./stores.ts";

const hostLocal = "/usr/lib/cni/host-local";
const work = "1,000 addresses, a process each: our calico-ipam through the shim, embedded";
const mustReach = ">= 2 x faster than Debian's host-local";
const rounds = 10;
const perRound = 100;

/** A runtime's calls of an IPAM plugin, one after the other; nothing but addresses is asked for. */
export async function pluginRow(): Promise<Row> {
  const { shim } = cniPlugins;
  for (const needed of [hostLocal, shim]) {
    if (!existsSync(needed)) return { work, measured: `not measured: no ${needed}`, mustReach };
  }
  const folder = mkdtempSync(join(tmpdir(), "tortie-bench-"));
  const stop = new AbortController();
  try {
    return await withStore(embedded, async ({ datastore }) => {
      await createCluster(datastore, "10.0.0.0/16");
      const socket = join(folder, "agent", "cni.sock");
      const log = createLogger({ name: "bench", level: "silent" });
      const ipam = ipamOn(datastore);
      const agent = { answer: (call: CniCall) => answer(ipam, call) };
      const serving = runAgentSocket(socket, { agent, log }, stop.signal);
      const row = await compare(folder, { shim, socket });
      stop.abort();
      await serving;
      return row;
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function answer(ipam: Ipam, call: CniCall): Promise<CniAnswer> {
  const address = await assignOne(ipam, "node1", call.variables.CNI_CONTAINERID ?? "");
  const result = { cniVersion: "1.0.0", ips: [{ address: `${address}/32` }] };
  return { exitCode: 0, stdout: `${JSON.stringify(result)}\n` };
}

async function compare(
  folder: string,
  ours: { readonly shim: string; readonly socket: string },
): Promise<Row> {
  const config = join(folder, "conf.json");
  const ranges = [[{ subnet: "10.2.0.0/16" }]];
  const ipam = { type: "host-local", dataDir: join(folder, "host-local"), ranges };
  writeFileSync(config, JSON.stringify({ cniVersion: "1.0.0", name: "bench", ipam }));
  const times = { ours: [] as number[], theirs: [] as number[] };
  // In turn, so that both see the same machine.
  for (let round = 0; round < rounds; round++) {
    const environment = { TORTIE_CNI_SOCKET: ours.socket };
    times.ours.push(await roundOf(ours.shim, config, { round, environment }));
    const netns = { CNI_NETNS: "/proc/self/ns/net" };
    times.theirs.push(await roundOf(hostLocal, config, { round, environment: netns }));
  }
  const [own, other] = [median(times.ours) / perRound, median(times.theirs) / perRound];
  return {
    work,
    measured: `${ms(own)} each, host-local ${ms(other)}: ${(other / own).toFixed(1)} x faster`,
    mustReach,
    reached: other >= 2 * own,
  };
}

/** Milliseconds of one round, run by a shell: a small process starts others fastest. */
async function roundOf(
  plugin: string,
  config: string,
  run: { readonly round: number; readonly environment: NodeJS.ProcessEnv },
): Promise<number> {
  const { round, environment } = run;
  const script =
    'i=0; while [ $i -lt "$1" ]; do CNI_CONTAINERID="r$2-$i" "$3" <"$4" >/dev/null || exit 1; i=$((i+1)); done';
  return await timed(async () => {
    const shell = spawn("sh", ["-c", script, "sh", `${perRound}`, `${round}`, plugin, config], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { CNI_COMMAND: "ADD", CNI_IFNAME: "eth0", CNI_PATH: "/usr/lib/cni", ...environment },
    });
    const [code] = (await once(shell, "exit")) as [number | null];
    if (code !== 0) throw new Error(`${plugin} failed`);
  });
}
