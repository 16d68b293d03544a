import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { cniPlugins } from "../../test/support/cni.ts";

/** The plugins that are compared, each with the configuration of its network. */
export type PluginName = "shim" | "shimGateOff" | "typescript" | "ptp";

export interface BenchPlugin {
  readonly program: string;
  /** File of its configuration. */
  readonly config: string;
}

const debian = "/usr/lib/cni";
export const neededPrograms: readonly string[] = [
  cniPlugins.shim,
  join(debian, "ptp"),
  join(debian, "host-local"),
];

export function writePlugins(folder: string): Readonly<Record<PluginName, BenchPlugin>> {
  const plugin = (name: string, program: string, more: object): BenchPlugin => {
    const config = join(folder, `${name}.json`);
    writeFileSync(config, JSON.stringify({ cniVersion: "1.0.0", ...more }));
    return { program, config };
  };
  const calico = { name: "k8s-pod-network", type: "calico", ipam: { type: "calico-ipam" } };
  const gateOff = { ...calico, policy_setup_timeout_seconds: 0 };
  const ranges = [[{ subnet: "10.2.0.0/16" }]];
  const ipam = { type: "host-local", dataDir: join(folder, "host-local"), ranges };
  return {
    shim: plugin("shim", cniPlugins.shim, calico),
    shimGateOff: plugin("gate-off", cniPlugins.shim, gateOff),
    typescript: plugin("typescript", cniPlugins.TypeScript, gateOff),
    ptp: plugin("ptp", join(debian, "ptp"), { name: "ptp-net", type: "ptp", ipam }),
  };
}

/** The line of a shell that calls a plugin for a pod of this name, in this namespace. */
export function callLine(
  { program, config }: BenchPlugin,
  command: "ADD" | "DEL",
  pod: { readonly name: string; readonly netns: string },
): string {
  const variables = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: `id-${pod.name}`,
    CNI_NETNS: `/run/netns/${pod.netns}`,
    CNI_IFNAME: "eth0",
    CNI_PATH: debian,
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name}`,
  };
  const words = Object.entries(variables).map(([name, value]) => `${name}='${value}'`);
  return `${words.join(" ")} ${program} <${config} >/dev/null`;
}
