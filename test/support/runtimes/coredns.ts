import { writeFileSync } from "node:fs";
import { Background } from "../lab.ts";
import type { Cluster, RunningPod } from "./cluster.ts";

const corefile = (kubeconfig: string) => `.:53 {
    errors
    kubernetes cluster.local {
        kubeconfig ${kubeconfig}
    }
}
`;

/**
 * CoreDNS in the network of a pod. Its files are the machine's: the pod's image holds no more than
 * busybox.
 */
export function startCoreDns(program: string, cluster: Cluster, pod: RunningPod): Background {
  const file = `${cluster.kubeconfig}.corefile`;
  writeFileSync(file, corefile(cluster.kubeconfig));
  return new Background(pod.netns, program, "-conf", file);
}
