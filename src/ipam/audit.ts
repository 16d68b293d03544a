import type { IPAMHandle } from "../api/resources/ipam.ts";
import type { Service } from "../api/resources/kubernetes.ts";
import type { Node } from "../api/resources/node.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import type { MachineState } from "../datastore/virtual-machines.ts";
import { getOrCreate } from "../lib/collections.ts";
import { type IpAddr, parseIpAddr } from "../lib/ip-addr.ts";
import {
  type Prefix,
  parsePrefix,
  prefixAddress,
  prefixContains,
  prefixesOverlap,
} from "../lib/prefix.ts";
import { allocationUse, heldHandles, isOfService } from "./allocation-use.ts";
import { addressOf, ownerOf } from "./block.ts";
import { affineNode } from "./block-affinity.ts";
import { handleName, windowsHandle } from "./handles.ts";
import type { StoredBlock } from "./ipam-records.ts";
import { type Pool, poolOf } from "./pools.ts";
import { type MachineName, machineKey, machineOf } from "./vm-handle.ts";

/** Everything that says who has or uses an address, read at about one time. */
export interface AuditInput {
  readonly pools: readonly Pool[];
  readonly blocks: readonly StoredBlock[];
  readonly handles: readonly IPAMHandle[];
  readonly endpoints: readonly WorkloadEndpoint[];
  readonly nodes: readonly Node[];
  /** Absent: Services have no addresses. */
  readonly services?: readonly Service[];
  /** By `machineKey`: virtual machines with addresses that nobody was seen to use. */
  readonly machines?: ReadonlyMap<string, MachineState>;
}

/** Somebody who has an address on an interface. */
export interface AddressUser {
  /** "Workload default/web-0" or "VXLAN tunnel of node1". */
  readonly name: string;
  readonly node: string;
}

/** An address that a block gives to somebody. */
export interface Allocation {
  readonly address: IpAddr;
  readonly block: Prefix;
  readonly pool?: string;
  readonly handle: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Where the virtual machine that has it moves to. */
  readonly alternateOwner?: Readonly<Record<string, string>>;
  readonly sequenceNumber: bigint;
  /** The node that the block is affine to, or "" for none, where it is not the node that has the address. */
  readonly borrowedFrom?: string;
  /** RFC 3339: released, and resting. */
  readonly coolingSince?: string;
  readonly users: readonly AddressUser[];
  /** The virtual machine whose address it is. */
  readonly machine?: MachineName & { readonly state: MachineState };
}

export type AuditProblem =
  /** A block gives it to somebody, and nobody uses it: garbage collection gives it back in time. */
  | { readonly kind: "leaked"; readonly address: IpAddr; readonly handle: string }
  /** The same, but it cannot be told leaked: nobody but a person gives it back. */
  | {
      readonly kind: "unclear";
      readonly address: IpAddr;
      readonly handle: string;
      readonly why: string;
    }
  /** Somebody uses it, and no block knows. */
  | { readonly kind: "unallocated"; readonly address: IpAddr; readonly users: readonly string[] }
  | { readonly kind: "shared"; readonly address: IpAddr; readonly users: readonly string[] }
  | { readonly kind: "outside-pools"; readonly address: IpAddr; readonly users: readonly string[] }
  | { readonly kind: "block-without-pool"; readonly block: Prefix }
  /** The handle counts addresses in a block that gives it none, or another number. */
  | {
      readonly kind: "handle-count";
      readonly handle: string;
      readonly block: Prefix;
      readonly counted: number;
      readonly found: number;
    };

export interface Audit {
  readonly allocations: readonly Allocation[];
  readonly users: ReadonlyMap<IpAddr, readonly AddressUser[]>;
  readonly problems: readonly AuditProblem[];
}

/**
 * Compares what IPAM has given away with what workloads and tunnels use (facts 3.13). Pure. A pod that
 * is being added between two of the reads can look leaked: who acts on the answer reads again first.
 */
export function audit(input: AuditInput): Audit {
  const users = usersOf(input);
  const allocations = allocationsOf(input, users);
  const served = servedAddresses(input.services ?? []);
  return {
    allocations,
    users,
    problems: [
      ...allocationProblems(allocations, input.nodes, served),
      ...userProblems(users, allocations, input.pools),
      ...input.blocks
        .filter(({ cidr }) => !input.pools.some((pool) => prefixContains(pool.cidr, cidr)))
        .map(({ cidr }) => ({ kind: "block-without-pool", block: cidr }) as const),
      ...handleProblems(input.handles, allocations),
    ],
  };
}

/** Every address that is given away, and who uses it: the audit without its problems. */
export function allocationsOf(
  { blocks, pools, ...input }: AuditInput,
  users: ReadonlyMap<IpAddr, readonly AddressUser[]> = usersOf(input),
): Allocation[] {
  const { machines = new Map<string, MachineState>() } = input;
  return blocks
    .flatMap((block) => allocationsOfBlock(block, pools, users))
    .map((allocation) => withMachine(allocation, machines));
}

function withMachine(
  allocation: Allocation,
  machines: ReadonlyMap<string, MachineState>,
): Allocation {
  const machine = machineOf(allocation);
  if (machine === undefined) return allocation;
  const state = machines.get(machineKey(machine)) ?? "unknown";
  return { ...allocation, machine: { ...machine, state } };
}

/** Who has each address on an interface. */
export function usersOf({
  endpoints,
  nodes,
}: Pick<AuditInput, "endpoints" | "nodes">): Map<IpAddr, AddressUser[]> {
  const users = new Map<IpAddr, AddressUser[]>();
  const add = (address: string | undefined, user: AddressUser) => {
    if (address) getOrCreate(users, parseIpAddr(address), () => []).push(user);
  };
  for (const { metadata, spec } of endpoints) {
    const name = `Workload ${metadata.namespace}/${spec.pod ?? spec.workload ?? metadata.name}`;
    for (const network of spec.ipNetworks ?? []) {
      add(prefixAddress(parsePrefix(network)), { name, node: spec.node });
    }
  }
  for (const { metadata, spec } of nodes) {
    const node = metadata.name;
    const tunnel = (kind: string, address: string | undefined) =>
      add(address?.split("/")[0], { name: `${kind} tunnel of ${node}`, node });
    tunnel("IPIP", spec.bgp?.ipv4IPIPTunnelAddr);
    tunnel("VXLAN", spec.ipv4VXLANTunnelAddr);
    tunnel("IPv6 VXLAN", spec.ipv6VXLANTunnelAddr);
    tunnel("WireGuard", spec.wireguard?.interfaceIPv4Address);
    tunnel("IPv6 WireGuard", spec.wireguard?.interfaceIPv6Address);
  }
  return users;
}

/** What Services tell as addresses of their load balancers. */
function servedAddresses(services: readonly Service[]): ReadonlySet<string> {
  const ingresses = services.flatMap(({ status }) => status?.loadBalancer?.ingress ?? []);
  return new Set(ingresses.flatMap(({ ip }) => ip ?? []));
}

function allocationsOfBlock(
  { cidr, spec }: StoredBlock,
  pools: readonly Pool[],
  users: ReadonlyMap<IpAddr, readonly AddressUser[]>,
): Allocation[] {
  const blockNode = affineNode(spec.affinity);
  const near = pools.filter((pool) => prefixesOverlap(pool.cidr, cidr));
  return spec.allocations.flatMap((_, ordinal): Allocation[] => {
    const owner = ownerOf(spec, ordinal);
    if (owner === undefined) return [];
    const address = addressOf(spec, ordinal);
    const attributes = owner.secondary ?? {};
    const pool = poolOf(near, address);
    const node = attributes["node"];
    const isBorrowed = node !== undefined && node !== blockNode;
    return [
      {
        address,
        block: cidr,
        handle: owner.handle_id ?? "",
        attributes,
        sequenceNumber: spec.sequenceNumberForAllocation[ordinal] ?? 0n,
        users: users.get(address) ?? [],
        ...(pool === undefined ? {} : { pool: pool.name }),
        ...(owner.alternateOwnerAttrs === undefined
          ? {}
          : { alternateOwner: owner.alternateOwnerAttrs }),
        ...(isBorrowed ? { borrowedFrom: blockNode ?? "" } : {}),
        ...(owner.releasedAt === undefined ? {} : { coolingSince: owner.releasedAt }),
      },
    ];
  });
}

/** By the judgement that garbage collection goes by, but without its patience. */
function allocationProblems(
  allocations: readonly Allocation[],
  nodes: readonly Node[],
  served: ReadonlySet<string>,
): AuditProblem[] {
  const names = new Set(nodes.map(({ metadata }) => metadata.name));
  const held = heldHandles(allocations, names);
  return allocations.flatMap((allocation): AuditProblem[] => {
    const { address, handle } = allocation;
    const use = allocationUse(allocation, names);
    if (use === "used" || use === "resting" || handle === windowsHandle) return [];
    if (use === "unknown" && isOfService(allocation.attributes)) {
      if (served.has(address)) return [];
      return [{ kind: "unclear", address, handle, why: "no Service has it" }];
    }
    if (use === "unknown" && allocation.machine !== undefined) {
      const { namespace, name } = allocation.machine;
      const why = `whether its virtual machine ${namespace}/${name} is there cannot be read`;
      return [{ kind: "unclear", address, handle, why }];
    }
    if (use === "unknown") {
      return [{ kind: "unclear", address, handle, why: "it does not say of which pod it is" }];
    }
    if (!held.has(handle)) return [{ kind: "leaked", address, handle }];
    return [{ kind: "unclear", address, handle, why: "its handle has others that are in use" }];
  });
}

function userProblems(
  users: ReadonlyMap<IpAddr, readonly AddressUser[]>,
  allocations: readonly Allocation[],
  pools: readonly Pool[],
): AuditProblem[] {
  const given = new Set(
    allocations.filter((each) => each.coolingSince === undefined).map(({ address }) => address),
  );
  return [...users].flatMap(([address, all]): AuditProblem[] => {
    const names = all.map(({ name }) => name);
    const shared = all.length > 1 ? [{ kind: "shared", address, users: names } as const] : [];
    if (given.has(address)) return shared;
    const kind = poolOf(pools, address) === undefined ? "outside-pools" : "unallocated";
    return [...shared, { kind, address, users: names }];
  });
}

function handleProblems(
  handles: readonly IPAMHandle[],
  allocations: readonly Allocation[],
): AuditProblem[] {
  const found = new Map<string, Map<Prefix, number>>();
  for (const { handle, block, coolingSince } of allocations) {
    if (coolingSince !== undefined || handle === "") continue;
    const ofHandle = getOrCreate(found, handleName(handle), () => new Map());
    ofHandle.set(block, (ofHandle.get(block) ?? 0) + 1);
  }
  const problems: AuditProblem[] = [];
  for (const { metadata, spec } of handles) {
    const ofHandle = found.get(metadata.name) ?? new Map<Prefix, number>();
    found.delete(metadata.name);
    const blocks = new Set([...Object.keys(spec.block), ...ofHandle.keys()] as Prefix[]);
    for (const block of blocks) {
      const [counted, has] = [spec.block[block] ?? 0, ofHandle.get(block) ?? 0];
      if (counted === has) continue;
      problems.push({
        kind: "handle-count",
        handle: spec.handleID,
        block,
        counted,
        found: has,
      });
    }
  }
  for (const [handle, blocks] of found) {
    for (const [block, has] of blocks) {
      problems.push({ kind: "handle-count", handle, block, counted: 0, found: has });
    }
  }
  return problems;
}

/** A problem in words. */
export function problemText(problem: AuditProblem): string {
  switch (problem.kind) {
    case "leaked":
      return `${problem.address} is allocated to handle "${problem.handle}", and nobody uses it`;
    case "unclear": {
      const { address, handle, why } = problem;
      return `${address} is allocated to handle "${handle}", nobody is seen to use it, and ${why}`;
    }
    case "unallocated":
      return `${problem.address} is used by ${problem.users.join(" and ")}, and not allocated`;
    case "shared":
      return `${problem.address} is used by ${problem.users.join(" and ")}`;
    case "outside-pools":
      return `${problem.address} of ${problem.users.join(" and ")} lies in no pool`;
    case "block-without-pool":
      return `block ${problem.block} lies in no pool`;
    case "handle-count": {
      const { handle, block, counted, found } = problem;
      return `handle "${handle}" counts ${counted} addresses of ${block}, which gives it ${found}`;
    }
  }
}
