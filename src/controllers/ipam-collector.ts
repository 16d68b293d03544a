import type { BlockAffinity } from "../api/resources/ipam.ts";
import type { Allocation } from "../ipam/audit.ts";
import { countAddresses, isEmpty, normalizeBlock } from "../ipam/block.ts";
import { affineNode } from "../ipam/block-affinity.ts";
import type { StoredBlock } from "../ipam/ipam-records.ts";
import type { ReleaseRequest } from "../ipam/release-addresses.ts";
import { groupBy } from "../lib/collections.ts";
import { type Prefix, prefixFamily } from "../lib/prefix.ts";
import { type AllocationUse, allocationUse } from "./allocation-use.ts";

/** What garbage collection looks at, read at about one time. */
export interface Observation {
  readonly allocations: readonly Allocation[];
  readonly blocks: readonly StoredBlock[];
  readonly affinities: readonly BlockAffinity[];
  /** Names of the nodes that exist. */
  readonly nodes: ReadonlySet<string>;
}

/** Every address of a handle, none of them in use. */
export interface Leak {
  readonly handle: string;
  readonly reason: "unused" | "node-gone";
  readonly addresses: readonly (ReleaseRequest & { readonly sequenceNumber: bigint })[];
}

/** A block without addresses that its node does not need. */
export interface EmptyBlock {
  readonly node: string;
  readonly cidr: Prefix;
  readonly sequenceNumber: bigint;
}

export interface CollectionPlan {
  readonly leaks: readonly Leak[];
  readonly emptyBlocks: readonly EmptyBlock[];
  /** Nodes that are gone, and have no address in use: their blocks go back. */
  readonly goneNodes: readonly string[];
  /** Blocks with addresses that have rested long enough. */
  readonly coldBlocks: readonly Prefix[];
  /** Addresses that look leaked, and have not for long enough. */
  readonly candidates: number;
}

/** A virtual machine may be between two pods for longer. */
const minVmGraceMs = 300_000;

/**
 * Finds what nobody uses (facts 3.10). It remembers since when something looks unused, by address
 * and sequence number: an address that was given again starts anew.
 */
export class IpamCollector {
  #suspects = new Map<string, number>();
  #empty = new Map<string, number>();

  /** `graceMs` above 0: how long something must have looked unused. `nowMs` is monotonic. */
  observe(observation: Observation, graceMs: number, nowMs: number): CollectionPlan {
    const judged = this.#judge(observation, graceMs, nowMs);
    const leaks = leaksOf(judged);
    const leaked = new Set(leaks.flatMap(({ addresses }) => addresses.map((each) => each.address)));
    return {
      leaks,
      emptyBlocks: this.#emptyBlocks(observation, graceMs, nowMs),
      goneNodes: goneNodes(observation, leaked),
      coldBlocks: coldBlocks(observation.blocks),
      candidates: judged.filter(({ state, allocation }) => {
        return state !== "valid" && !leaked.has(allocation.address);
      }).length,
    };
  }

  #judge({ allocations, nodes }: Observation, graceMs: number, nowMs: number): Judged[] {
    const suspects = new Map<string, number>();
    const judged = allocations.flatMap((allocation): Judged[] => {
      const use = allocationUse(allocation, nodes);
      if (use === "resting") return [];
      if (use !== "unused") return [{ allocation, state: use === "node-gone" ? use : "valid" }];
      const key = `${allocation.address} ${allocation.sequenceNumber}`;
      const sinceMs = this.#suspects.get(key) ?? nowMs;
      suspects.set(key, sinceMs);
      const isLeaked = nowMs - sinceMs >= graceOf(allocation, graceMs);
      return [{ allocation, state: isLeaked ? "unused" : "suspect" }];
    });
    this.#suspects = suspects;
    return judged;
  }

  #emptyBlocks({ blocks, nodes }: Observation, graceMs: number, nowMs: number): EmptyBlock[] {
    const empty = new Map<string, number>();
    const found: EmptyBlock[] = [];
    const owned = blocks.flatMap((block) => {
      const node = affineNode(block.spec.affinity);
      return node === undefined || !nodes.has(node) ? [] : [{ node, block }];
    });
    for (const ofNode of groupBy(owned, nodeAndFamily).values()) {
      const old: EmptyBlock[] = [];
      for (const { node, block } of ofNode) {
        const { sequenceNumber } = block.spec;
        if (!isEmpty(block.spec)) continue;
        const key = `${block.cidr} ${sequenceNumber}`;
        const sinceMs = this.#empty.get(key) ?? nowMs;
        empty.set(key, sinceMs);
        if (nowMs - sinceMs >= graceMs) old.push({ node, cidr: block.cidr, sequenceNumber });
      }
      // A node keeps one block, so that its next pod waits for no claim.
      found.push(...old.slice(old.length === ofNode.length ? 1 : 0));
    }
    this.#empty = empty;
    return found;
  }
}

interface Judged {
  readonly allocation: Allocation;
  readonly state: "valid" | "suspect" | "unused" | "node-gone";
}

/** A handle leaks as a whole, or not at all. */
function leaksOf(judged: readonly Judged[]): Leak[] {
  const leaks: Leak[] = [];
  for (const [handle, all] of groupBy(judged, ({ allocation }) => allocation.handle)) {
    if (handle === "" || all.some(({ state }) => state === "valid" || state === "suspect"))
      continue;
    leaks.push({
      handle,
      reason: all.every(({ state }) => state === "node-gone") ? "node-gone" : "unused",
      addresses: all.map(({ allocation: { address, sequenceNumber } }) => ({
        address,
        handle,
        sequenceNumber,
      })),
    });
  }
  return leaks;
}

/** What of a plan still holds in what was read just before it is carried out. */
export function stillLeaked(plan: CollectionPlan, fresh: Observation): readonly Leak[] {
  const uses = new Map<string, AllocationUse>();
  for (const allocation of fresh.allocations) {
    const { address, handle, sequenceNumber } = allocation;
    uses.set(`${address} ${handle} ${sequenceNumber}`, allocationUse(allocation, fresh.nodes));
  }
  const others = new Set(
    fresh.allocations.flatMap((allocation) => {
      const use = allocationUse(allocation, fresh.nodes);
      return use === "used" || use === "unknown" ? [allocation.handle] : [];
    }),
  );
  return plan.leaks.filter(
    ({ handle, reason, addresses }) =>
      !others.has(handle) &&
      addresses.every(({ address, sequenceNumber }) => {
        const use = uses.get(`${address} ${handle} ${sequenceNumber}`);
        return use === "node-gone" || (use === "unused" && reason === "unused");
      }),
  );
}

function goneNodes(observation: Observation, leaked: ReadonlySet<string>): string[] {
  const { affinities, allocations, nodes } = observation;
  const gone = new Set(
    affinities.flatMap(({ spec }) =>
      (spec.type ?? "host") === "host" && !nodes.has(spec.node) ? [spec.node] : [],
    ),
  );
  for (const { address, attributes, coolingSince } of allocations) {
    const node = attributes["node"];
    if (node !== undefined && coolingSince === undefined && !leaked.has(address)) gone.delete(node);
  }
  return [...gone];
}

function coldBlocks(blocks: readonly StoredBlock[]): Prefix[] {
  return blocks.flatMap(({ cidr, resource, spec }) => {
    const stored = countAddresses(normalizeBlock(resource.spec));
    return stored.cooling > countAddresses(spec).cooling ? [cidr] : [];
  });
}

function graceOf({ attributes }: Allocation, graceMs: number): number {
  const isVm = attributes["pod"]?.startsWith("virt-launcher-") === true;
  return isVm ? Math.max(graceMs, minVmGraceMs) : graceMs;
}

function nodeAndFamily({ node, block }: { node: string; block: StoredBlock }): string {
  return `${prefixFamily(block.cidr)} ${node}`;
}
