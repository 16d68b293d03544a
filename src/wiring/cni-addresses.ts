import type { AddressSource } from "../cni/agent.ts";
import type { ParsedCall } from "../cni/call.ts";
import { CniError, cniCodes } from "../cni/cni-error.ts";
import type { EndpointIdentity } from "../cni/endpoint.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
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
  if (config.addresses !== undefined) {
    const assigned: IpAddr[] = [];
    try {
      for (const address of config.addresses) {
        assigned.push((await ipam.assignIp({ ...owner, address })).address);
      }
      return assigned;
    } catch (error) {
      await ipam.releaseByHandle(identity.handle);
      throw error;
    }
  }
  const assigned = await ipam.autoAssign({
    ...owner,
    num4: config.assignIpv4 ? 1 : 0,
    num6: config.assignIpv6 ? 1 : 0,
    ...(config.ipv4Pools === undefined ? {} : { pools4: config.ipv4Pools }),
    ...(config.ipv6Pools === undefined ? {} : { pools6: config.ipv6Pools }),
    namespaceLabels: await namespaceLabels(identity.namespace, datastore),
  });
  return assigned.map(({ address }) => address);
}

const prefix = "pcns.";

/** Labels of a Kubernetes namespace, as its profile hands them down. */
async function namespaceLabels(
  namespace: string,
  datastore: Datastore,
): Promise<Readonly<Record<string, string>>> {
  try {
    const { spec } = await datastore.get({ kind: "Profile", name: `kns.${namespace}` });
    const labels = Object.entries(spec.labelsToApply ?? {});
    return Object.fromEntries(
      labels
        .filter(([label]) => label.startsWith(prefix))
        .map(([label, value]) => [label.slice(prefix.length), value]),
    );
  } catch (error) {
    if (isDatastoreError(error, "not-found")) return {};
    throw error;
  }
}
