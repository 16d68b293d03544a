import { namespaceProfilePrefix } from "../api/kubernetes/namespace.ts";
import { namespaceLabelPrefix } from "../api/selector/scope.ts";
import { type AddressAnnotations, poolAnnotations } from "../cni/annotations.ts";
import type { AddCall } from "../cni/call.ts";
import { CniError, cniCodes } from "../cni/cni-error.ts";
import { type EndpointIdentity, handleOf } from "../cni/endpoint.ts";
import type { NetworkConfig } from "../cni/network-config.ts";
import type { AddressHolder, AddressSource } from "../cni/ports.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import type { AssignIpRequest } from "../ipam/assign-ip.ts";
import type { Ipam } from "../ipam/ipam.ts";
import { IpamError } from "../ipam/ipam-error.ts";
import type { Assigned } from "../ipam/write-assignment.ts";
import type { Clock, Millis } from "../lib/clock.ts";
import { getOrCreate } from "../lib/collections.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../lib/ip-addr.ts";
import { holdsMachineAddresses, leaveMachine, machinePod } from "./vm-addresses.ts";

/** Gives the CNI agent addresses from IPAM (facts 3.6, 6.4). */
export function ipamAddresses(
  ipam: Ipam,
  ports: { readonly nodeName: string; readonly datastore: Datastore; readonly clock: Clock },
): AddressSource {
  const known = new Map<string, Millis>();
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
    leave: (call, identity) => leaveMachine(call, identity, { ...ports, ipam }),
    holds: async (call, identity) =>
      (await ipam.knowsHandle(identity.handle)) ||
      (await holdsMachineAddresses(call, identity, ipam)),
    holders: (network) => holdersOf(network, ports.nodeName, ipam),
    shortage: (config) => shortageOf(config, { ...ports, ipam, known }),
  };
}

/**
 * Containers whose handle is of this network, on this node. Networks and containers may have dots in their
 * names: "a.b.c" may be of the network "a.b", which has a list of its own, and is nobody's here. Nor is
 * "a.vmi.b.c", a virtual machine's.
 */
async function holdersOf(network: string, node: string, ipam: Ipam): Promise<AddressHolder[]> {
  const prefix = handleOf(network, "");
  const byHandle = new Map<string, AddressHolder & { readonly addresses: IpAddr[] }>();
  for (const { address, handle, attributes } of await ipam.allocations()) {
    if (!handle.startsWith(prefix) || attributes["node"] !== node) continue;
    const containerId = handle.slice(prefix.length);
    if (containerId.includes(".")) continue;
    const { namespace = "default" } = attributes;
    const holder = getOrCreate(byHandle, handle, () => {
      return { handle, namespace, containerId, addresses: [] };
    });
    holder.addresses.push(address);
  }
  return [...byHandle.values()];
}

/** Runtimes ask every few seconds, and to know it all blocks are read. */
const knownMs = 60_000;

async function shortageOf(
  config: NetworkConfig,
  ports: {
    readonly nodeName: string;
    readonly ipam: Ipam;
    readonly clock: Clock;
    /** When it was last known that there is no shortage, by question. */
    readonly known: Map<string, Millis>;
  },
): Promise<string | undefined> {
  const { assignIpv4, assignIpv6, ipv4Pools, ipv6Pools } = config;
  const families = { 4: assignIpv4, 6: assignIpv6 };
  for (const family of [4, 6] as const) {
    const requested = (family === 4 ? ipv4Pools : ipv6Pools) ?? [];
    const question = `${family} ${requested.join(" ")}`;
    const { known, clock, ipam, nodeName: node } = ports;
    const since = known.get(question);
    if (!families[family] || (since !== undefined && clock.now() - since < knownMs)) continue;
    known.delete(question);
    const why = await ipam.shortage({ node, family, requested });
    if (why !== undefined) return why;
    known.set(question, clock.now());
  }
  return undefined;
}

interface AssignPorts {
  readonly datastore: Datastore;
  readonly clock: Clock;
}

async function assign(
  call: AddCall,
  identity: EndpointIdentity,
  ipam: Ipam,
  ports: AssignPorts,
): Promise<readonly IpAddr[]> {
  const { annotations } = call.config;
  const machine = await machinePod(call, identity, { ...ports, ipam });
  if (annotations.addressesWithoutIpam !== undefined) return annotations.addressesWithoutIpam;
  const { handle, namespace, node, workload: pod } = identity;
  const timestamp = ports.clock.date().toISOString();
  const owner = {
    handle,
    node,
    use: "Workload",
    attributes: { namespace, node, pod, timestamp },
  } as const;
  const families = familiesOf(call);
  if (machine !== undefined) {
    const attributes = { ...owner.attributes, ...machine.attributes };
    const shared = await ipam.sharedHandle(machine.handle);
    return await shared.claim({
      families,
      owner: attributes,
      assign: (missing, pending) =>
        assignNew(call, { ...owner, handle: machine.handle, attributes: pending }, missing, {
          ipam,
          ...ports,
        }),
    });
  }
  const assigned = await assignNew(call, owner, families, { ipam, ...ports });
  return assigned.map(({ address }) => address);
}

/** Families of the pod's own addresses, else those that the configuration asks for. */
function familiesOf({ config }: AddCall): readonly IpFamily[] {
  const { addresses } = config.annotations;
  const wanted = { 4: config.assignIpv4, 6: config.assignIpv6 };
  if (addresses === undefined) return ([4, 6] as const).filter((family) => wanted[family]);
  return [...new Set(addresses.map(ipFamily))];
}

async function assignNew(
  { config }: AddCall,
  owner: Omit<AssignIpRequest, "address"> & { readonly use: "Workload" },
  families: readonly IpFamily[],
  { ipam, datastore }: AssignPorts & { readonly ipam: Ipam },
): Promise<readonly Assigned[]> {
  const { annotations } = config;
  if (annotations.addresses !== undefined) {
    const wanted = annotations.addresses.filter((each) => families.includes(ipFamily(each)));
    return assignEach(wanted, owner, ipam);
  }
  const namespace = await namespaceOf(owner.attributes["namespace"] ?? "", datastore);
  const pools4 = annotations.ipv4Pools ?? namespace.ipv4Pools ?? config.ipv4Pools;
  const pools6 = annotations.ipv6Pools ?? namespace.ipv6Pools ?? config.ipv6Pools;
  return await ipam.autoAssign({
    ...owner,
    num4: families.includes(4) ? 1 : 0,
    num6: families.includes(6) ? 1 : 0,
    ...(pools4 === undefined ? {} : { pools4 }),
    ...(pools6 === undefined ? {} : { pools6 }),
    namespaceLabels: namespace.labels,
  });
}

/** All of them or none. */
async function assignEach(
  addresses: readonly IpAddr[],
  owner: Omit<AssignIpRequest, "address">,
  ipam: Ipam,
): Promise<readonly Assigned[]> {
  const assigned: Assigned[] = [];
  try {
    for (const address of addresses) assigned.push(await ipam.assignIp({ ...owner, address }));
    return assigned;
  } catch (error) {
    // A machine's handle is not this pod's alone.
    if (owner.attributes["vmi-name"] !== undefined) await ipam.releaseIps(assigned);
    else await ipam.releaseByHandle(owner.handle);
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
