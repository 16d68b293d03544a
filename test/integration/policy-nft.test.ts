import { badInputCases } from "./policy/bad-input-cases.ts";
import { ruleCases } from "./policy/calico-rule-cases.ts";
import { setCases } from "./policy/calico-set-cases.ts";
import { tierCases } from "./policy/calico-tier-cases.ts";
import { clusterCases } from "./policy/cluster-cases.ts";
import { hostCases } from "./policy/host-cases.ts";
import { kubernetesCases } from "./policy/kubernetes-cases.ts";
import { runCases } from "./policy/run-cases.ts";

/** Policy on the real kernel, through iptables' nft backend. */
runCases(
  "pn",
  { FELIX_IPTABLESBACKEND: "nft" },
  {
    "Kubernetes NetworkPolicy": kubernetesCases,
    ClusterNetworkPolicy: clusterCases,
    "tiers and order": tierCases,
    rules: ruleCases,
    "selectors and sets": setCases,
    hosts: hostCases,
    "bad input": badInputCases,
  },
);
