import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import type { MachineState } from "../datastore/virtual-machines.ts";
import { type Allocation, type AuditInput, allocationsOf } from "./audit.ts";
import { type MachineName, machineKey } from "./vm-handle.ts";

/** What became of the virtual machines of all blocks. Most clusters have none: that costs nothing. */
export async function machinesOf(
  read: AuditInput,
  datastore: Pick<Datastore, "virtualMachines">,
): Promise<ReadonlyMap<string, MachineState>> {
  const blocks = read.blocks.filter(({ spec }) =>
    spec.attributes.some(({ handle_id = "", secondary }) => {
      return handle_id.includes(".vmi.") || secondary?.["vmi-name"] !== undefined;
    }),
  );
  if (datastore.virtualMachines === undefined || blocks.length === 0) return new Map();
  return await machineStates(allocationsOf({ ...read, blocks }), datastore);
}

/**
 * By `machineKey`, what became of the virtual machines with addresses that nobody uses: others need not be
 * asked for. One that is not in the answer nobody can say anything about.
 */
export async function machineStates(
  allocations: readonly Allocation[],
  { virtualMachines }: Pick<Datastore, "virtualMachines">,
): Promise<ReadonlyMap<string, MachineState>> {
  const states = new Map<string, MachineState>();
  if (virtualMachines === undefined) return states;
  const idle = allocations.filter(({ users, coolingSince }) => {
    return users.length === 0 && coolingSince === undefined;
  });
  const machines = new Map<string, MachineName>();
  for (const { machine } of idle) {
    if (machine !== undefined) machines.set(machineKey(machine), machine);
  }
  for (const [key, machine] of machines) {
    try {
      states.set(key, await virtualMachines.stateOf(machine));
    } catch (error) {
      // Who may not read machines may still look after all other addresses.
      if (!isDatastoreError(error, "forbidden")) throw error;
    }
  }
  return states;
}
