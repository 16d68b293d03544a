import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vethName } from "../../src/api/names.ts";
import { detectBackend } from "../../src/kernel/iptables/backend.ts";
import { TestNetns } from "../../test/support/netns.ts";
import { byHand, RecordedExec } from "../felix/recorded-exec.ts";
import { CniNode } from "./cni-node.ts";
import { type BenchPlugin, callLine, type PluginName, writePlugins } from "./plugins.ts";
import { Stopwatch } from "./stopwatch.ts";

/** Measures a node in the network namespace that it was started in. Prints CniFigures as JSON. */
export interface CniFigures {
  /** Milliseconds of each ADD. */
  readonly adds: Readonly<Record<PluginName, readonly number[]>>;
  /** For each ADD of `shim`: what felix ran for it, run again by hand. */
  readonly byHand: readonly number[];
  /** Milliseconds until all of so many pods, begun at once, are added; undefined: not measured. */
  readonly together?: { readonly pods: number; readonly shim: number; readonly ptp: number };
}

const [pods = "", runs = "", together = ""] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "tortie-bench-"));
const exec = new RecordedExec();
const backend = await detectBackend(exec, "nft");
const node = await CniNode.start(folder, { exec, backend });
const plugins = writePlugins(folder);
const watch = new Stopwatch(`export TORTIE_CNI_SOCKET=${node.socket}`);
const namespaces: TestNetns[] = [];
try {
  await fill(Number(pods));
  const measured = await measureAdds(Number(runs));
  const many = Number(together);
  const figures: CniFigures = many === 0 ? measured : { ...measured, together: await atOnce(many) };
  console.log(JSON.stringify(figures));
} finally {
  watch.close();
  await node.stop();
  exec.close();
  for (const netns of namespaces) netns.remove();
  rmSync(folder, { recursive: true });
}

function newNetns(): string {
  const netns = new TestNetns("bench");
  namespaces.push(netns);
  return netns.name;
}

async function fill(count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, index) =>
    callLine(plugins.shim, "ADD", { name: `kept${index}`, netns: newNetns() }),
  );
  while (lines.length > 0) await watch.time(allOf(lines.splice(0, 20)));
}

/** One after the other, each plugin in turn, so that all see the same machine. */
async function measureAdds(count: number): Promise<Omit<CniFigures, "together">> {
  const adds: Record<PluginName, number[]> = { shim: [], shimGateOff: [], typescript: [], ptp: [] };
  const hand: number[] = [];
  const netns = newNetns();
  for (let run = 0; run < count; run++) {
    for (const name of ["ptp", "shimGateOff", "typescript", "shim"] as const) {
      const pod = { name: `${name.toLowerCase()}${run}`, netns };
      await exec.idle();
      exec.runs = [];
      adds[name].push(await watch.time(callLine(plugins[name], "ADD", pod)));
      const restores = exec.runs.filter(({ stdin }) => stdin !== "");
      await watch.time(callLine(plugins[name], "DEL", pod));
      if (name !== "shim") continue;
      // What is written is what the kernel does not have: felix has removed it, and does it again.
      await exec.idle();
      hand.push(await watch.time(byHand(restores, folder)));
    }
  }
  return { adds, byHand: hand };
}

async function atOnce(count: number): Promise<NonNullable<CniFigures["together"]>> {
  const pods = Array.from({ length: count }, (_, index) => ({
    name: `many${index}`,
    netns: newNetns(),
  }));
  const run = async (plugin: BenchPlugin, check: () => void) => {
    await exec.idle();
    const ms = await watch.time(allOf(pods.map((pod) => callLine(plugin, "ADD", pod))));
    check();
    await watch.time(allOf(pods.map((pod) => callLine(plugin, "DEL", pod))));
    return ms;
  };
  const ptp = await run(plugins.ptp, () => undefined);
  const shim = await run(plugins.shim, () => checkPolicies(pods.map(({ name }) => name)));
  return { pods: count, shim, ptp };
}

/** @throws when a pod has no chain that is gone to. */
function checkPolicies(names: readonly string[]): void {
  const rules = execFileSync("iptables-nft-save", ["-t", "filter"], { encoding: "utf8" });
  for (const name of names) {
    const chain = `cali-tw-${vethName("cali", "default", name)}`;
    if (!new RegExp(`-g ${chain}\\b`).test(rules)) throw new Error(`${name} has no policy`);
  }
}

/** All lines at once; fails when one does. */
function allOf(lines: readonly string[]): string {
  const started = lines.map((line, index) => `(${line}) & p${index}=$!`);
  const waited = lines.map((_, index) => `wait $p${index} || false`);
  return `${started.join("\n")}\n${waited.join(" && ")}`;
}
