import assert from "node:assert/strict";
import { routePattern } from "../support/switch-modes.ts";
import { waitFor } from "../support/wait-for.ts";
import { type MatrixLab, patienceMs } from "./matrix-lab.ts";

/** What may happen to a device, a node or its address, after which all must be as before. */

/** The kernel's own tunl0 cannot be deleted: it is set down and loses its address. */
export async function deviceComesBack(lab: MatrixLab): Promise<void> {
  const node = lab.node(1);
  for (const name of tunnelDevices(lab)) {
    if (name === "tunl0") {
      await lab.inside(node, "ip", "address", "flush", "dev", name);
      await lab.inside(node, "ip", "link", "set", name, "down");
    } else {
      await lab.inside(node, "ip", "link", "delete", name);
    }
  }
  await waitFor(() => hasRoutes(lab), {
    timeoutMs: patienceMs,
    what: "its routes",
    intervalMs: 500,
  });
  await lab.converges();
}

/** Of the first node to the others: asking for them costs less than to ask who reaches whom. */
async function hasRoutes(lab: MatrixLab): Promise<boolean> {
  for (const family of lab.families) {
    const routes = await lab.routes(lab.node(1), family);
    const has = (to: number) =>
      routePattern(lab.mode, lab.node(1), lab.node(to), family).test(routes);
    if (![2, 3].every(has)) return false;
  }
  return true;
}

export function tunnelDevices({ mode, families }: MatrixLab): readonly string[] {
  if (mode === "None") return [];
  if (mode.startsWith("IPIP")) return families.includes(4) ? ["tunl0"] : [];
  return families.map((family) => (family === 4 ? "vxlan.calico" : "vxlan-v6.calico"));
}

/** So often a node looks for its address, from its next start on. */
const watchful = { AUTODETECT_POLL_INTERVAL: "1s" };

/** As after a boot: no device, route or rule of ours. */
export async function nodeRestarts(lab: MatrixLab): Promise<void> {
  const node = lab.node(3);
  const start = await lab.stopNode(3);
  for (const name of tunnelDevices(lab)) {
    if (name !== "tunl0") await lab.inside(node, "ip", "link", "delete", name);
  }
  for (const family of lab.families) {
    for (const protocol of ["bird", "80"]) {
      await lab.inside(node, "ip", `-${family}`, "route", "flush", "proto", protocol);
    }
  }
  await lab.inside(node, "nft", "flush", "ruleset");
  start(watchful);
  await lab.agentListens(3);
  await lab.converges();
}

/** The node has been started so that it looks for its address every second. */
export async function addressChanges(lab: MatrixLab): Promise<void> {
  const node = lab.node(3);
  for (const family of lab.families) {
    const before = lab.address(node, family);
    const after = before.replace(/13$/, "33");
    const length = family === 4 ? 24 : 64;
    const gateway = before.replace(/13$/, "1");
    await lab.inside(node, "ip", "address", "delete", `${before}/${length}`, "dev", "eth0");
    const added = [`${after}/${length}`, "dev", "eth0", ...(family === 6 ? ["nodad"] : [])];
    await lab.inside(node, "ip", "address", "add", ...added);
    await lab.inside(node, "ip", `-${family}`, "route", "replace", "default", "via", gateway);
    if (lab.families.some((each) => !lab.hasTunnel(each))) await lab.tellRouter(before, after);
    await waitFor(() => nodeHas(lab, node.name, `${after}/${length}`), {
      timeoutMs: patienceMs,
      what: "the Node's new address",
      intervalMs: 500,
    });
  }
  await lab.converges();
}

async function nodeHas(lab: MatrixLab, name: string, address: string): Promise<boolean> {
  const { stdout } = await lab.lab.cli(["get", "node", name, "-o", "yaml"]);
  return stdout.includes(address);
}

export async function nodeLeavesAndJoins(lab: MatrixLab): Promise<void> {
  const { name } = lab.node(3);
  const pods = lab.status.pods.filter(({ node }) => node === name);
  const blocks = lab.families.map((family) => lab.block(3, family));
  for (const pod of pods) await lab.lab.mustLab("pod", "rm", name, pod.name);
  const start = await lab.stopNode(3);
  const { code, stderr } = await lab.lab.cli(["delete", "node", name]);
  assert.equal(code, 0, stderr);
  for (const number of [1, 2]) {
    await waitFor(() => isForgotten(lab, number, blocks), {
      timeoutMs: patienceMs,
      what: `node ${number} to forget ${name}`,
    });
  }
  start(watchful);
  await lab.agentListens(3);
  await lab.addPods(name);
  await lab.refresh();
  await lab.converges();
}

/** No route to its blocks is left, and nothing that leads to its end of a tunnel. */
async function isForgotten(
  lab: MatrixLab,
  number: number,
  blocks: readonly string[],
): Promise<boolean> {
  const node = lab.node(number);
  for (const family of lab.families) {
    const routes = await lab.routes(node, family);
    if (blocks.some((block) => routes.includes(`${block} `))) return false;
  }
  for (const device of tunnelDevices(lab).filter((each) => each !== "tunl0")) {
    const entries = await lab.inside(node, "bridge", "fdb", "show", "dev", device);
    if (entries.trim().split("\n").length !== 1) return false;
  }
  return true;
}
