import type { AddCall, PodCall } from "../cni/call.ts";
import { CniError, cniCodes } from "../cni/cni-error.ts";
import type { EndpointIdentity } from "../cni/endpoint.ts";
import { type Datastore, unlessAbsent } from "../datastore/datastore.ts";
import type { PodMachine } from "../datastore/virtual-machines.ts";
import type { Allocation } from "../ipam/audit.ts";
import { isOwner, type PodName } from "../ipam/block-owners.ts";
import type { Ipam } from "../ipam/ipam.ts";
import { machineHandle, machineHandlePrefix, machineOf } from "../ipam/vm-handle.ts";

/** What KubeVirt names all its pods by: others are not looked at. */
const podPrefix = "virt-launcher-";

interface Ports {
  readonly datastore: Datastore;
  readonly ipam: Ipam;
}

/** A pod that runs a virtual machine whose addresses outlive it (facts 3.12). */
export interface MachinePod {
  readonly handle: string;
  /** What its allocations have besides what any pod's have. */
  readonly attributes: Readonly<Record<string, string>>;
}

/**
 * Undefined: its addresses are those of any pod. So they are where IPAMConfiguration has
 * `kubeVirtVMAddressPersistence: Disabled`.
 *
 * @throws {CniError} for the pod that a machine is to move to
 */
export async function machinePod(
  call: AddCall,
  identity: EndpointIdentity,
  { datastore, ipam }: Ports,
): Promise<MachinePod | undefined> {
  const machine = await machineOfPod(identity, datastore);
  if (machine === undefined) return undefined;
  const config = await unlessAbsent(datastore.get({ kind: "IPAMConfiguration", name: "default" }));
  const isKept = config?.spec.kubeVirtVMAddressPersistence !== "Disabled";
  const handle = machineHandle(call.config.name, machine);
  if (machine.migrationUid !== undefined) {
    if (!isKept) throw moveRefused(machine, "kubeVirtVMAddressPersistence is Disabled");
    const why = "live migration is not supported yet; the machine goes on where it is";
    if (!(await hasArrived(handle, identity, ipam))) throw moveRefused(machine, why);
  }
  if (!isKept) return undefined;
  const { name, instanceUid, machineUid } = machine;
  return {
    handle,
    attributes: {
      "vmi-name": name,
      "vmi-uid": instanceUid,
      ...(machineUid === undefined ? {} : { "vm-uid": machineUid }),
    },
  };
}

async function machineOfPod(
  { orchestrator, namespace, workload }: EndpointIdentity,
  { virtualMachines }: Datastore,
): Promise<PodMachine | undefined> {
  if (virtualMachines === undefined || orchestrator !== "k8s") return undefined;
  if (!workload.startsWith(podPrefix)) return undefined;
  return await virtualMachines.ofPod({ namespace, name: workload });
}

/** A pod keeps the label of the migration that it came by. */
async function hasArrived(
  handle: string,
  identity: EndpointIdentity,
  ipam: Ipam,
): Promise<boolean> {
  const held = await (await ipam.sharedHandle(handle)).addresses();
  return held.length > 0 && held.every(({ owner }) => isOwner(owner, podOf(identity)));
}

function moveRefused({ namespace, name }: PodMachine, why: string): CniError {
  return new CniError(
    cniCodes.ipam,
    `Cannot move the virtual machine ${namespace}/${name} to this pod: ${why}`,
  );
}

/**
 * The pod is gone. Its machine keeps the addresses, unless it is being deleted and no pod has them any more.
 * It goes by what is stored with the addresses: neither the pod nor its machine need be there, and the
 * configuration may be another by now.
 */
export async function leaveMachine(
  call: PodCall,
  identity: EndpointIdentity,
  { datastore, ipam }: Ports,
): Promise<void> {
  const { virtualMachines } = datastore;
  if (virtualMachines === undefined || !identity.workload.startsWith(podPrefix)) return;
  const handles = new Map(
    (await allocationsOf(call, identity, ipam)).map((each) => [each.handle, machineOf(each)]),
  );
  for (const [handle, machine] of handles) {
    const state = machine === undefined ? "unknown" : await virtualMachines.stateOf(machine);
    const shared = await ipam.sharedHandle(handle);
    await shared.leave(podOf(identity));
    if (state === "gone" || state === "ending") await shared.releaseUnowned();
  }
}

/** Whether the pod has addresses of a machine. */
export async function holdsMachineAddresses(
  call: PodCall,
  identity: EndpointIdentity,
  ipam: Ipam,
): Promise<boolean> {
  if (!identity.workload.startsWith(podPrefix)) return false;
  return (await allocationsOf(call, identity, ipam)).length > 0;
}

/** Addresses of machines of this network that the pod has, or that are to move to it. */
async function allocationsOf(
  call: PodCall,
  identity: EndpointIdentity,
  ipam: Ipam,
): Promise<Allocation[]> {
  const prefix = machineHandlePrefix(call.config.name);
  const pod = podOf(identity);
  return (await ipam.allocations()).filter(
    ({ handle, attributes, alternateOwner = {} }) =>
      handle.startsWith(prefix) && (isOwner(attributes, pod) || isOwner(alternateOwner, pod)),
  );
}

function podOf({ namespace, workload: pod }: EndpointIdentity): PodName {
  return { namespace, pod };
}
