import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { netnsPath } from "../../../src/lab/fabric.ts";
import { type LabPaths, labPaths } from "../../../src/lab/lab-state.ts";
import { labConflist } from "../../../src/lab/pods.ts";
import { cniPlugins } from "../cni.ts";
import type { TestLab } from "../lab.ts";
import { Containerd } from "./containerd.ts";

/** Where Debian has the plugins of the CNI project. */
export const debianPlugins = "/usr/lib/cni";

/** How our plugin finds the agent of a node of a lab. */
export function pluginEnvironment(paths: LabPaths, node: string): Readonly<Record<string, string>> {
  return { TORTIE_CNI_SOCKET: paths.cniSocket(node), TORTIE_CNI_SPOOL: paths.cniSpool(node) };
}

/** A containerd on a node of a lab, whose pods are plugged in by that node's agent. */
export async function startContainerd(lab: TestLab, node: string): Promise<Containerd> {
  const paths = labPaths(lab.name, { TORTIE_LAB_DIR: lab.folder });
  const containerd = await Containerd.start({
    netns: netnsPath(`${lab.name}-${node}`),
    pluginFolders: [dirname(cniPlugins.shim), debianPlugins],
    env: pluginEnvironment(paths, node),
  });
  writeFileSync(
    join(containerd.conflistFolder, "10-calico.conflist"),
    JSON.stringify(labConflist([4])),
  );
  return containerd;
}
