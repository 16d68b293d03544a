import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { errorMessage, InputError } from "../lib/errors.ts";
import type { IpFamily } from "../lib/ip-addr.ts";
import { runCommand } from "./command-runner.ts";
import { addNetns, netnsExists, netnsPath, removeNetns } from "./fabric.ts";
import { podNetns } from "./lab-plan.ts";
import { forgetPod, type LabPaths, type LabPod, type LabPort, writePod } from "./lab-state.ts";

/** The lab in the role of a container runtime: namespaces, and the real CNI plugin run on them. */

const shim = fileURLToPath(new URL("../../build/cni/calico", import.meta.url));
const plugin = fileURLToPath(new URL("../../bin/tortie-cni", import.meta.url));

/** The conflist that a node's /etc/cni/net.d would hold. The flags are strings, as upstream's (facts 6.8). */
export function labConflist(families: readonly IpFamily[]): object {
  const ipam = {
    type: "calico-ipam",
    assign_ipv4: String(families.includes(4)),
    assign_ipv6: String(families.includes(6)),
  };
  return {
    name: "k8s-pod-network",
    cniVersion: "1.0.0",
    plugins: [{ type: "calico", ipam }],
  };
}

export interface PodRequest {
  readonly lab: string;
  readonly node: string;
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly LabPort[];
}

/**
 * Adds a pod as a runtime does: namespace, ADD, and DEL when ADD fails.
 *
 * @throws {InputError} for a pod that is there already; {Error} with the plugin's words.
 */
export async function addPod(request: PodRequest, paths: LabPaths): Promise<LabPod> {
  const netns = podNetns(request.lab, request.node, request.namespace, request.name);
  if (netnsExists(netns)) {
    throw new InputError(`Cannot add pod "${request.name}" on ${request.node}: ${netns} is there`);
  }
  const pod: LabPod = {
    name: request.name,
    namespace: request.namespace,
    node: request.node,
    netns,
    containerId: randomBytes(16).toString("hex"),
    addresses: [],
    labels: request.labels,
    ports: request.ports,
  };
  writePod(paths, pod);
  try {
    await addNetns(netns);
    const result = (await callPlugin("ADD", pod, paths)) as { ips?: { address: string }[] };
    const addresses = (result.ips ?? []).map(({ address }) => address.split("/")[0] ?? "");
    const added = { ...pod, addresses };
    writePod(paths, added);
    return added;
  } catch (error) {
    await undoAdd(pod, paths, error);
    throw error;
  }
}

/** A pod that cannot be removed either stays, for `pod rm` to try again. */
async function undoAdd(pod: LabPod, paths: LabPaths, reason: unknown): Promise<void> {
  try {
    await removePod(pod, paths);
  } catch (error) {
    throw new Error(
      `${errorMessage(reason)}; and its remains cannot be removed: ${errorMessage(error)}. ` +
        `Try again: lab pod rm ${pod.node} ${pod.name} --namespace ${pod.namespace}`,
      { cause: error },
    );
  }
}

/** DEL, then the namespace: the order of a runtime. */
export async function removePod(pod: LabPod, paths: LabPaths): Promise<void> {
  await callPlugin("DEL", pod, paths);
  await removeNetns(pod.netns);
  forgetPod(paths, pod);
}

async function callPlugin(command: "ADD" | "DEL", pod: LabPod, paths: LabPaths): Promise<unknown> {
  const { exitCode, stdout, stderr } = await runCommand(existsSync(shim) ? shim : plugin, [], {
    input: pluginConfig(pod, paths),
    timeoutMs: 60_000,
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: pod.containerId,
      CNI_NETNS: netnsExists(pod.netns) ? netnsPath(pod.netns) : "",
      CNI_IFNAME: "eth0",
      CNI_PATH: "/opt/cni/bin",
      CNI_ARGS: [
        "IgnoreUnknown=1",
        `K8S_POD_NAMESPACE=${pod.namespace}`,
        `K8S_POD_NAME=${pod.name}`,
        `K8S_POD_INFRA_CONTAINER_ID=${pod.containerId}`,
      ].join(";"),
      TORTIE_CNI_SOCKET: paths.cniSocket(pod.node),
      TORTIE_CNI_SPOOL: paths.cniSpool(pod.node),
    },
  });
  if (exitCode === 0) return stdout === "" ? {} : JSON.parse(stdout);
  throw new Error(
    `Cannot ${command} pod ${pod.namespace}/${pod.name}: ${pluginError(stdout, stderr)}`,
  );
}

/** The plugin's configuration as libcni makes it: the list's name and version put into the entry. */
function pluginConfig(pod: LabPod, paths: LabPaths): string {
  const list = JSON.parse(readFileSync(paths.conflist, "utf8")) as ReturnType<
    typeof labConflist
  > & {
    name: string;
    cniVersion: string;
    plugins: object[];
  };
  return JSON.stringify({
    ...list.plugins[0],
    name: list.name,
    cniVersion: list.cniVersion,
    args: {
      cni: {
        labels: Object.entries(pod.labels).map(([key, value]) => ({ key, value })),
        ports: pod.ports,
      },
    },
  });
}

function pluginError(stdout: string, stderr: string): string {
  try {
    const { msg, details } = JSON.parse(stdout) as { msg: string; details?: string };
    return details ? `${msg}: ${details}` : msg;
  } catch {
    return (stderr || stdout).trim() || "the plugin said nothing";
  }
}

/** Waits until the node's agent answers on its socket. */
export async function agentReady(
  node: string,
  paths: LabPaths,
  options: { readonly timeoutMs: number; readonly stillAlive: () => boolean },
): Promise<void> {
  const deadline = Date.now() + options.timeoutMs;
  while (!existsSync(paths.cniSocket(node))) {
    if (!options.stillAlive()) throw new Error(`${node} has stopped: see ${paths.nodeLog(node)}`);
    if (Date.now() > deadline) {
      throw new Error(
        `${node} is not ready after ${options.timeoutMs / 1000} s: see ${paths.nodeLog(node)}`,
      );
    }
    await delay(25);
  }
}
