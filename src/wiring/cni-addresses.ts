import { namespaceProfilePrefix } from "../api/kubernetes/namespace.ts";
import { namespaceLabelPrefix } from "../api/selector/scope.ts";
import type { AddressSource } from "../cni/agent.ts";
import { type AddressAnnotations, poolAnnotations } from "../cni/annotations.ts";
import type { ParsedCall } from "../cni/call.ts";
import { CniError, cniCodes } from "../cni/cni-error.ts";
import type { EndpointIdentity } from "../cni/endpoint.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import type { AssignIpRequest } from "../ipam/assign-ip.ts";
import type { Ipam } from "../ipam/ipam.ts";
import { IpamError } from "../ipam/ipam-error.ts";
import type { Clock } from "../lib/clock.ts";
import type { IpAddr } from "../lib/ip-addr.ts";

/** Gives the CNI agent addresses from IPAM (facts 3.6, 6.4). */
export function ipamAddresses(
  ipam: Ipam,
  ports: { readonly datastore: Datastore; readonly clock: Clock },
): AddressSource {
  return {
    assign: async (call, identity) => {
      try {
        return await assign(call, identity, ipam, ports);
      } catch (error) {
        if (!(error instanceof IpamError)) throw error;
        throw new CniError(cniCodes.ipam, error.message, error.code, { cause: error });
      }
    },
    release: async (handle) => {
      await ipam.releaseByHandle(handle);
    },
  };
}

async function assign(
  call: ParsedCall,
  identity: EndpointIdentity,
  ipam: Ipam,
  { datastore, clock }: { readonly datastore: Datastore; readonly clock: Clock },
): Promise<readonly IpAddr[]> {
  const { config } = call;
  const owner = {
    handle: identity.handle,
    node: identity.node,
    use: "Workload" as const,
    attributes: {
      namespace: identity.namespace,
      node: identity.node,
      pod: identity.workload,
      timestamp: clock.date().toISOString(),
    },
  };
  const { annotations } = config;
  if (annotations.addressesWithoutIpam !== undefined) return annotations.addressesWithoutIpam;
  if (annotations.addresses !== undefined) return assignEach(annotations.addresses, owner, ipam);
  const namespace = await namespaceOf(identity.namespace, datastore);
  const pools4 = annotations.ipv4Pools ?? namespace.ipv4Pools ?? config.ipv4Pools;
  const pools6 = annotations.ipv6Pools ?? namespace.ipv6Pools ?? config.ipv6Pools;
  const assigned = await ipam.autoAssign({
    ...owner,
    num4: config.assignIpv4 ? 1 : 0,
    num6: config.assignIpv6 ? 1 : 0,
    ...(pools4 === undefined ? {} : { pools4 }),
    ...(pools6 === undefined ? {} : { pools6 }),
    namespaceLabels: namespace.labels,
  });
  return assigned.map(({ address }) => address);
}

/** All of them or none. */
async function assignEach(
  addresses: readonly IpAddr[],
  owner: Omit<AssignIpRequest, "address">,
  ipam: Ipam,
): Promise<readonly IpAddr[]> {
  try {
    for (const address of addresses) await ipam.assignIp({ ...owner, address });
    return addresses;
  } catch (error) {
    await ipam.releaseByHandle(owner.handle);
    throw error;
  }
}

interface NamespaceWishes extends Pick<AddressAnnotations, "ipv4Pools" | "ipv6Pools"> {
  readonly labels: Readonly<Record<string, string>>;
}

/** Labels and annotations of a Kubernetes namespace, as its profile has them. */
async function namespaceOf(namespace: string, datastore: Datastore): Promise<NamespaceWishes> {
  try {
    const { metadata, spec } = await datastore.get({
      kind: "Profile",
      name: namespaceProfilePrefix + namespace,
    });
    const labels = Object.entries(spec.labelsToApply ?? {})
      .filter(([label]) => label.startsWith(namespaceLabelPrefix))
      .map(([label, value]) => [label.slice(namespaceLabelPrefix.length), value]);
    return { labels: Object.fromEntries(labels), ...poolAnnotations(metadata.annotations ?? {}) };
  } catch (error) {
    if (isDatastoreError(error, "not-found")) return { labels: {} };
    throw error;
  }
}
