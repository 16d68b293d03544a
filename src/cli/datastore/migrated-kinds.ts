import { isKubernetesPolicy } from "../../api/policy-identity.ts";
import type { AnyResource, Kind } from "../../api/resource-of-kind.ts";

/**
 * Where a kind stands in the file of a migration:
 * - `cluster`: the second part, the lock;
 * - `shared`: the first part, as calicoctl has it;
 * - `ipam`: the third part, in the form that etcd has;
 * - `own`: beside IPAM's in the third part, where calicoctl passes it over: it leaves these out;
 * - `none`: left out. Leases are of programs that run.
 */
type Part = "cluster" | "shared" | "ipam" | "own" | "none";

/** A record by kind, so that none can be forgotten; in the order in which an import writes them. */
const parts: Readonly<Record<Kind, Part>> = {
  ClusterInformation: "cluster",
  IPPool: "shared",
  IPReservation: "shared",
  BGPFilter: "shared",
  BGPPeer: "shared",
  Tier: "shared",
  GlobalNetworkPolicy: "shared",
  StagedGlobalNetworkPolicy: "shared",
  GlobalNetworkSet: "shared",
  HostEndpoint: "shared",
  KubeControllersConfiguration: "shared",
  NetworkPolicy: "shared",
  StagedNetworkPolicy: "shared",
  StagedKubernetesNetworkPolicy: "shared",
  NetworkSet: "shared",
  Node: "shared",
  BGPConfiguration: "shared",
  FelixConfiguration: "shared",
  IPAMConfiguration: "ipam",
  BlockAffinity: "ipam",
  IPAMHandle: "ipam",
  IPAMBlock: "ipam",
  Profile: "own",
  Service: "own",
  EndpointSlice: "own",
  WorkloadEndpoint: "own",
  CalicoNodeStatus: "own",
  Lease: "none",
};

/** Every kind that is migrated but ClusterInformation, in the order of import. */
export const migratedKinds: readonly Kind[] = (Object.keys(parts) as Kind[]).filter(
  (kind) => parts[kind] !== "cluster" && parts[kind] !== "none",
);

export const sharedKinds: readonly Kind[] = migratedKinds.filter(
  (kind) => parts[kind] === "shared",
);

/** calicoctl refuses a policy that Kubernetes has in its own form. */
export function partOf(resource: AnyResource): Part {
  return isPolicyOfKubernetes(resource) ? "own" : parts[resource.kind];
}

/** What a cluster has without us: an import into it passes it over. Nodes are not among these. */
export function isKeptByKubernetes(resource: AnyResource): boolean {
  return keptByKubernetes.has(resource.kind) || isPolicyOfKubernetes(resource);
}

const keptByKubernetes: ReadonlySet<Kind> = new Set<Kind>([
  "EndpointSlice",
  "Profile",
  "Service",
  "WorkloadEndpoint",
]);

function isPolicyOfKubernetes({ kind, metadata }: AnyResource): boolean {
  return isKubernetesPolicy({ kind, name: metadata.name });
}
