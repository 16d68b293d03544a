import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { labPaths } from "../../src/lab/lab-state.ts";
import { CniRuntime, cniConfig, cniPlugins } from "../../test/support/cni.ts";
import { TestLab } from "../../test/support/lab.ts";
import { TestNetns } from "../../test/support/netns.ts";
import type { Row } from "../row.ts";

const bytesOfMb = 1_000_000;
/** So many policies go into one manifest. */
const perManifest = 100;

/** PSS of `tortie node` and its children, when so many pods are there and felix has come to rest. */
export async function memoryRow(size: {
  readonly pods: number;
  readonly policies: number;
  readonly mustReachMb: number;
}): Promise<Row> {
  const { pods, policies, mustReachMb } = size;
  const lab = new TestLab("bench");
  const namespaces: TestNetns[] = [];
  try {
    await lab.mustLab("up", "--nodes", "1", "--segments", "1", "--pods", "0");
    for (let first = 0; first < policies; first += perManifest) {
      const count = Math.min(perManifest, policies - first);
      await lab.apply(Array.from({ length: count }, (_, at) => manifest(first + at)).join("---\n"));
    }
    await addPods(pods, { lab, namespaces });
    const mb = pssOf(`${lab.name}-node1`) / bytesOfMb;
    return {
      work: `PSS of tortie node and its children, ${pods} pods, ${policies} policies`,
      measured: `${mb.toFixed(0)} MB`,
      mustReach: `<= ${mustReachMb} MB`,
      reached: mb <= mustReachMb,
    };
  } finally {
    await lab.down();
    for (const netns of namespaces) netns.remove();
  }
}

async function addPods(
  count: number,
  { lab, namespaces }: { readonly lab: TestLab; readonly namespaces: TestNetns[] },
): Promise<void> {
  const paths = labPaths(lab.name, { TORTIE_LAB_DIR: lab.folder });
  const runtime = new CniRuntime(cniPlugins.shim, paths.cniSocket("node1"));
  for (let pod = 0; pod < count; pod++) {
    const netns = new TestNetns("bench");
    namespaces.push(netns);
    const labels = [{ key: "app", value: `a${pod % 50}` }];
    const { code, stdout } = await runtime.call({
      command: "ADD",
      pod: `p${pod}`,
      netns: netns.path,
      config: { ...cniConfig, args: { cni: { labels } } },
    });
    if (code !== 0) throw new Error(`Cannot add pod ${pod}: ${stdout}`);
  }
}

function manifest(index: number): string {
  return `apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: policy-${index}, namespace: default}
spec:
  selector: app == 'a${index % 50}'
  types: [Ingress]
  ingress:
    - {action: Allow, protocol: TCP, source: {selector: "app == 'a${(index * 7) % 50}'"}, destination: {ports: [${8000 + index}]}}
    - {action: Allow, protocol: TCP, destination: {ports: [9000]}}
`;
}

/** Octets of all of tortie's processes in a network namespace. */
function pssOf(netns: string): number {
  const own = execFileSync("ip", ["netns", "pids", netns], { encoding: "utf8" });
  const kib = own
    .split("\n")
    .filter(isTortie)
    .map((pid) => {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
      return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1]);
    });
  if (kib.length === 0) throw new Error(`Cannot find a process of tortie in ${netns}`);
  return kib.reduce((sum, each) => sum + each, 0) * 1024;
}

function isTortie(pid: string): boolean {
  return pid !== "" && basename(readlinkSync(`/proc/${pid}/exe`)) === "node";
}
