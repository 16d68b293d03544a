import { profileOfServiceAccount, profilesOfNamespace } from "../api/kubernetes/namespace.ts";
import type { AnyResource } from "../api/resource-of-kind.ts";
import { type EndpointSlice, type Service, serviceNameLabel } from "../api/resources/kubernetes.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import { ipFamily, parseIpAddr } from "../lib/ip-addr.ts";
import { hostPrefix } from "../lib/prefix.ts";

/**
 * What a cluster would add to manifests: addresses of pods that have none, profiles of namespaces and
 * accounts that are not written, and EndpointSlices of Services that select pods. `pods` are the endpoints
 * that were made of Pod manifests: all others are as somebody stored them.
 */
export function withDerived(
  resources: readonly AnyResource[],
  pods: ReadonlySet<AnyResource>,
): AnyResource[] {
  let index = 0;
  const addressed = resources.map((one) =>
    one.kind === "WorkloadEndpoint" && pods.has(one) && one.spec.ipNetworks?.length === 0
      ? withAddress(one, index++)
      : one,
  );
  return [
    ...addressed,
    ...missingProfiles(
      resources.filter((one) => pods.has(one)),
      resources,
    ),
    ...slices(addressed),
  ];
}

/** A pod of a manifest where the pod of its name is already: nobody writes node and address. */
export function inPlace(pod: AnyResource, resources: readonly AnyResource[]): AnyResource {
  if (pod.kind !== "WorkloadEndpoint") return pod;
  const known = resources.find(
    (one): one is WorkloadEndpoint =>
      one.kind === "WorkloadEndpoint" &&
      one.metadata.namespace === pod.metadata.namespace &&
      one.spec.pod === pod.spec.pod,
  );
  if (known === undefined) return pod;
  const { node, ipNetworks = [] } = known.spec;
  const own = pod.spec.ipNetworks ?? [];
  return {
    ...pod,
    metadata: { ...pod.metadata, name: known.metadata.name },
    spec: { ...pod.spec, node, ipNetworks: own.length > 0 ? own : ipNetworks },
  };
}

/** Of the range for benchmarks (RFC 2544), which no cluster uses. `policy test` takes of its other half. */
function withAddress(endpoint: WorkloadEndpoint, index: number): WorkloadEndpoint {
  const address = `198.19.${Math.floor(index / 250) % 256}.${(index % 250) + 1}`;
  return {
    ...endpoint,
    spec: { ...endpoint.spec, ipNetworks: [hostPrefix(parseIpAddr(address))] },
  };
}

function missingProfiles(
  pods: readonly AnyResource[],
  resources: readonly AnyResource[],
): AnyResource[] {
  const there = new Set(
    resources.filter(({ kind }) => kind === "Profile").map(({ metadata }) => metadata.name),
  );
  const wanted = pods.flatMap((pod) => {
    if (pod.kind !== "WorkloadEndpoint") return [];
    const { namespace = "default" } = pod.metadata;
    const name = pod.spec.serviceAccountName ?? "default";
    return [
      ...profilesOfNamespace({ name: namespace }),
      profileOfServiceAccount({ name, namespace }),
    ];
  });
  const byName = new Map(wanted.map((profile) => [profile.metadata.name, profile]));
  return [...byName.values()].filter(({ metadata }) => !there.has(metadata.name));
}

/** Parts of a Service that only its EndpointSlices are made of. */
interface Selecting {
  readonly selector?: Readonly<Record<string, string>>;
  readonly ports?: readonly {
    readonly name?: string;
    readonly port: number;
    readonly protocol?: "TCP" | "UDP" | "SCTP";
    readonly targetPort?: number | string;
  }[];
}

/** One for each pod behind a Service of which no slice is written: a named port is each pod's own. */
function slices(resources: readonly AnyResource[]): EndpointSlice[] {
  const endpoints = resources.filter((one) => one.kind === "WorkloadEndpoint");
  const serviceOf = ({ metadata }: AnyResource, name: string | undefined) =>
    `${metadata.namespace}/${name}`;
  const sliced = new Set(
    resources
      .filter(({ kind }) => kind === "EndpointSlice")
      .map((one) => serviceOf(one, one.metadata.labels?.[serviceNameLabel])),
  );
  return resources.flatMap((one) => {
    if (one.kind !== "Service" || sliced.has(serviceOf(one, one.metadata.name))) return [];
    return endpoints
      .filter((endpoint) => isBehind(endpoint, one))
      .flatMap((endpoint) => slicesOf(one, endpoint));
  });
}

function isBehind({ metadata }: WorkloadEndpoint, service: Service): boolean {
  const selector = Object.entries((service.spec as Selecting).selector ?? {});
  return (
    metadata.namespace === service.metadata.namespace &&
    selector.length > 0 &&
    selector.every(([key, value]) => metadata.labels?.[key] === value)
  );
}

function slicesOf({ metadata, spec }: Service, endpoint: WorkloadEndpoint): EndpointSlice[] {
  const { name, namespace = "default" } = metadata;
  const ports = ((spec as Selecting).ports ?? []).flatMap(
    ({ port, protocol = "TCP", targetPort }) => {
      const target = targetPort ?? port;
      const numbers =
        typeof target === "number"
          ? [target]
          : (endpoint.spec.ports ?? []).flatMap((own) =>
              own.name === target && own.protocol === protocol ? [own.port] : [],
            );
      return numbers.map((number) => ({ protocol, port: number }));
    },
  );
  return (endpoint.spec.ipNetworks ?? []).map((net) => {
    const address = parseIpAddr(net.split("/")[0] ?? "");
    return {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        name: `${name}-${endpoint.metadata.name}-${ipFamily(address)}`,
        namespace,
        labels: { [serviceNameLabel]: name },
      },
      addressType: ipFamily(address) === 4 ? "IPv4" : "IPv6",
      endpoints: [{ addresses: [address] }],
      ports,
      spec: {},
    };
  });
}
