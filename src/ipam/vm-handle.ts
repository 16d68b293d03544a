import { chainName } from "../api/names.ts";

/*
 * The addresses of a virtual machine of KubeVirt belong to the machine, not to the pod that runs it (facts
 * 3.12). So their handle has the machine's name, and the attributes tell the pod.
 */

export interface MachineName {
  readonly namespace: string;
  readonly name: string;
}

export function machineKey({ namespace, name }: MachineName): string {
  return `${namespace}/${name}`;
}

type Attributes = Readonly<Record<string, string>>;

/** Longest handle that is written out. */
const maxLength = 128;

/** What handles of machines of a network begin with. */
export function machineHandlePrefix(network: string): string {
  return `${network}.vmi.`;
}

/**
 * "<network>.vmi.<namespace>.<name>". What would be longer than 128 characters has a hash instead of
 * namespace and name.
 *
 * Differs from facts 3.6, which have "<network>.<namespace>-<vm>": Calico's releases write this.
 */
export function machineHandle(network: string, { namespace, name }: MachineName): string {
  return chainName(machineHandlePrefix(network), `${namespace}.${name}`, maxLength);
}

/**
 * Whose addresses these are, by their owners' attributes; by the handle where no pod has them. Undefined:
 * no machine's, or one whose name is hashed away.
 */
export function machineOf(allocation: {
  readonly handle: string;
  readonly attributes: Attributes;
  readonly alternateOwner?: Attributes;
}): MachineName | undefined {
  const { handle, attributes, alternateOwner = {} } = allocation;
  const isOwned = Object.keys(attributes).length > 0;
  const owner = isOwned ? attributes : alternateOwner;
  const { namespace, "vmi-name": name } = owner;
  if (namespace !== undefined && name !== undefined) return { namespace, name };
  if (Object.keys(owner).length > 0) return undefined;
  // A namespace has no dots.
  const [, ofHandle, nameOfHandle] = /\.vmi\.([^.]+)\.(.+)$/.exec(handle) ?? [];
  if (ofHandle === undefined || nameOfHandle === undefined) return undefined;
  return { namespace: ofHandle, name: nameOfHandle };
}
