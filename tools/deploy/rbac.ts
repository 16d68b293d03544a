import { leaseNamespace } from "../../src/api/leases.ts";

/**
 * What each service account may do, as little as it needs: test/conformance/deploy.test.ts runs the
 * programs under these accounts, and fails for a request that is refused and for a right that nobody used.
 */

export interface Grant {
  /** "" is the core group. */
  readonly group: string;
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  /** A comment in the manifest. */
  readonly why: string;
}

export interface Account {
  readonly name: string;
  /** Everywhere. */
  readonly cluster: readonly Grant[];
  /** In the namespace of our Leases alone: Leases of others are none of our business. */
  readonly leases: readonly Grant[];
}

export const namespace = "kube-system";

/** Of `leases`. */
export const leaseNamespaceObject: object = {
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: leaseNamespace },
};

export const calicoGroup = "crd.projectcalico.org";

const follow = ["list", "watch"] as const;

/** Of whoever gives addresses. */
const addressRules: readonly Grant[] = [
  {
    group: calicoGroup,
    resources: ["ipreservations"],
    verbs: ["list"],
    why: "Addresses that are given to nobody.",
  },
  {
    group: calicoGroup,
    resources: ["ipamconfigs"],
    verbs: ["get"],
    why: "How addresses are given.",
  },
];

export const calicoNode: Account = {
  name: "calico-node",
  cluster: [
    {
      group: "",
      resources: ["namespaces"],
      verbs: ["get", ...follow],
      why: "Labels for policy; pools and labels for the address of a new pod.",
    },
    {
      group: "",
      resources: ["serviceaccounts", "services"],
      verbs: follow,
      why: "Labels for policy; addresses of services.",
    },
    {
      group: "discovery.k8s.io",
      resources: ["endpointslices"],
      verbs: follow,
      why: "Services in rules, and which node announces a service.",
    },
    {
      group: "",
      resources: ["nodes", "pods"],
      verbs: ["get", ...follow],
      why: "Other nodes; pods are the endpoints of policy.",
    },
    {
      group: "",
      resources: ["nodes/status", "pods/status"],
      verbs: ["patch"],
      why: "Annotations with a node's and a pod's addresses; the condition NetworkUnavailable.",
    },
    {
      group: "networking.k8s.io",
      resources: ["networkpolicies"],
      verbs: follow,
      why: "Policy.",
    },
    {
      group: "policy.networking.k8s.io",
      resources: ["clusternetworkpolicies"],
      verbs: follow,
      why: "Policy, where the cluster has this kind.",
    },
    {
      group: calicoGroup,
      resources: [
        "bgpconfigurations",
        "bgpfilters",
        "bgppeers",
        "globalnetworkpolicies",
        "globalnetworksets",
        "hostendpoints",
        "networkpolicies",
        "networksets",
      ],
      verbs: follow,
      why: "What people write.",
    },
    {
      group: calicoGroup,
      resources: ["clusterinformations", "felixconfigurations", "ippools", "tiers"],
      verbs: [...follow, "create"],
      why: "The first node makes those that every cluster has.",
    },
    {
      group: calicoGroup,
      resources: ["clusterinformations"],
      verbs: ["get"],
      why: "Whether the datastore is locked for a migration.",
    },
    ...addressRules,
    {
      group: calicoGroup,
      resources: ["blockaffinities", "ipamblocks"],
      verbs: ["get", ...follow, "create", "update", "delete"],
      why: "Addresses of pods and tunnels.",
    },
    {
      group: calicoGroup,
      resources: ["ipamhandles"],
      verbs: ["get", "create", "update", "delete"],
      why: "Who has which address.",
    },
    {
      group: calicoGroup,
      resources: ["caliconodestatuses"],
      verbs: ["get", ...follow, "update"],
      why: "Questions about this node's BGP,",
    },
    {
      group: calicoGroup,
      resources: ["caliconodestatuses/status"],
      verbs: ["update"],
      why: "and the answers.",
    },
  ],
  leases: [
    {
      group: "coordination.k8s.io",
      resources: ["leases"],
      verbs: ["get", "create", "update"],
      why: "An elected route reflector tells of its sessions.",
    },
  ],
};

export const kubeControllers: Account = {
  name: "calico-kube-controllers",
  cluster: [
    {
      group: "",
      resources: ["nodes"],
      verbs: ["get", ...follow],
      why: "Whose addresses go back when they are gone; host endpoints of nodes; who can be a route reflector.",
    },
    {
      group: "",
      resources: ["nodes/status"],
      verbs: ["patch"],
      why: "The annotations by which an elected node is a route reflector.",
    },
    {
      group: "",
      resources: ["pods"],
      verbs: ["list"],
      why: "Which addresses are in use.",
    },
    {
      group: "",
      resources: ["services"],
      verbs: ["get", ...follow, "update"],
      why: "Addresses for services of the type LoadBalancer,",
    },
    {
      group: "",
      resources: ["services/status"],
      verbs: ["update"],
      why: "which are told in their status.",
    },
    {
      group: calicoGroup,
      resources: ["clusterinformations", "kubecontrollersconfigurations"],
      verbs: ["get", ...follow],
      why: "What the controllers are to do.",
    },
    {
      group: calicoGroup,
      resources: ["ippools"],
      verbs: follow,
      why: "Pools for services.",
    },
    ...addressRules,
    {
      group: calicoGroup,
      resources: ["blockaffinities", "ipamblocks", "ipamhandles"],
      verbs: ["get", "list", "create", "update", "delete"],
      why: "Addresses that leaked go back; addresses of services.",
    },
    {
      group: calicoGroup,
      resources: ["hostendpoints"],
      verbs: [...follow, "create", "update", "delete"],
      why: "Host endpoints that nodes get by themselves.",
    },
    {
      group: calicoGroup,
      resources: ["bgpconfigurations"],
      verbs: ["get", ...follow, "update"],
      why: "Whether route reflectors are to be elected; the mesh that they replace.",
    },
    {
      group: calicoGroup,
      resources: ["bgppeers"],
      verbs: ["get", ...follow, "create", "update", "delete"],
      why: "The BGPPeer of elected route reflectors, and that of one that is gone.",
    },
  ],
  leases: [
    {
      group: "coordination.k8s.io",
      resources: ["leases"],
      verbs: ["get", "list", "create", "update", "delete"],
      why: "Who of several works; which route reflectors live.",
    },
  ],
};

export const routeReflector: Account = {
  name: "route-reflector",
  cluster: [
    {
      group: "",
      resources: ["nodes"],
      verbs: follow,
      why: "Its clients.",
    },
    {
      group: calicoGroup,
      resources: ["bgpconfigurations", "ippools"],
      verbs: follow,
      why: "What BGP is told.",
    },
    {
      group: calicoGroup,
      resources: ["bgppeers"],
      verbs: ["get", "create", "update", "delete"],
      why: "The BGPPeer by which all nodes speak with it.",
    },
  ],
  leases: [
    {
      group: "coordination.k8s.io",
      resources: ["leases"],
      verbs: ["get", "create", "update", "delete"],
      why: "It tells that it lives.",
    },
  ],
};

/** Beside their own, where the cluster has KubeVirt: not in the comparison with what they use. */
const kubeVirtGrant: Grant = {
  group: "kubevirt.io",
  resources: ["virtualmachineinstances", "virtualmachines"],
  verbs: ["get"],
  why: "Whose addresses a pod has, and whether they are still kept.",
};

/** A role for both of those that give and take back addresses. */
export function kubeVirtObjects(): object[] {
  const rbac = "rbac.authorization.k8s.io";
  const metadata = { name: "tortie-kubevirt" };
  const kind = "ClusterRole";
  return [
    { apiVersion: `${rbac}/v1`, kind, metadata, rules: [ruleOf(kubeVirtGrant)] },
    {
      apiVersion: `${rbac}/v1`,
      kind: `${kind}Binding`,
      metadata,
      roleRef: { apiGroup: rbac, kind, ...metadata },
      subjects: [calicoNode, kubeControllers].map(({ name }) => ({
        kind: "ServiceAccount",
        name,
        namespace,
      })),
    },
  ];
}

/** ServiceAccount, and roles with their bindings. */
export function accountObjects({ name, cluster, leases }: Account): object[] {
  const rbac = "rbac.authorization.k8s.io";
  const subjects = [{ kind: "ServiceAccount", name, namespace }];
  const role = (kind: "ClusterRole" | "Role", where: object, grants: readonly Grant[]) => [
    { apiVersion: `${rbac}/v1`, kind, metadata: { name, ...where }, rules: grants.map(ruleOf) },
    {
      apiVersion: `${rbac}/v1`,
      kind: `${kind}Binding`,
      metadata: { name, ...where },
      roleRef: { apiGroup: rbac, kind, name },
      subjects,
    },
  ];
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } },
    ...(cluster.length === 0 ? [] : role("ClusterRole", {}, cluster)),
    ...(leases.length === 0 ? [] : role("Role", { namespace: leaseNamespace }, leases)),
  ];
}

function ruleOf({ group, resources, verbs }: Grant): object {
  return { apiGroups: [group], resources, verbs };
}
