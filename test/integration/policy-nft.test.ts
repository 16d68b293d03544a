import { clusterCases } from "./policy/cluster-cases.ts";
import { kubernetesCases } from "./policy/kubernetes-cases.ts";
import { runCases } from "./policy/run-cases.ts";

/** Policy on the real kernel, through iptables' nft backend. */
runCases(
  "pn",
  { FELIX_IPTABLESBACKEND: "nft" },
  {
    "Kubernetes NetworkPolicy": kubernetesCases,
    ClusterNetworkPolicy: clusterCases,
  },
);
