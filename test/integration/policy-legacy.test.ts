import { clusterCases } from "./policy/cluster-cases.ts";
import { kubernetesCases } from "./policy/kubernetes-cases.ts";
import { runCases } from "./policy/run-cases.ts";

/** Policy on the real kernel, through iptables' legacy backend. */
runCases(
  "pl",
  { FELIX_IPTABLESBACKEND: "legacy" },
  {
    "Kubernetes NetworkPolicy": kubernetesCases,
    ClusterNetworkPolicy: clusterCases,
  },
);
