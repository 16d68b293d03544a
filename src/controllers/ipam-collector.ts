import type { BlockAffinity, IPAMHandle } from "../api/resources/ipam.ts";
import { type AllocationUse, allocationUse } from "../ipam/allocation-use.ts";
import type { Allocation } from "../ipam/audit.ts";
import { countAddresses, isEmpty, normalizeBlock } from "../ipam/block.ts";
import { affineNode, hostAffinity, loadBalancerHost } from "../ipam/block-affinity.ts";
import type { StoredBlock } from "../ipam/ipam-records.ts";
import {
  type MiscountedHandle,
  miscountedHandles,
  type UnsettledAffinity,
  unsettledAffinities,
} from "../ipam/repair.ts";
import { groupBy } from "../lib/collections.ts";
import { type Prefix, prefixFamily } from "../lib/prefix.ts";

/** What garbage collection looks at, read at about one time. */
export interface Observation {
  readonly allocations: readonly Allocation[];
  readonly blocks: readonly StoredBlock[];
  readonly handles: readonly IPAMHandle[];
  readonly affinities: readonly BlockAffinity[];
  /** Names of the nodes that exist. */
  readonly nodes: ReadonlySet<string>;
}

/** Every address of a handle, as it was seen: none in use. */
export interface Leak {
  readonly handle: string;
  readonly reason: "unused" | "node-gone";
  readonly allocations: readonly Allocation[];
}

/** A block without addresses that its node, or the load balancers' host, does not need. */
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
  /** What crashes left, and nobody has gone on with. */
  readonly miscounted: readonly MiscountedHandle[];
  readonly unsettled: readonly UnsettledAffinity[];
  /** Addresses that look leaked, and have not for long enough. */
  readonly candidates: readonly Allocation[];
}

/** A virtual machine may be between two pods for longer. */
const minVmGraceMs = 300_000;

/**
 * Differs from facts 3.10, where it is 0: a node may be deleted and register again while one of its
 * pods is added. After so long the ADD is over, and the pod's endpoint is there, or will never be.
 */
export const goneNodeGraceMs = 120_000;

/**
 * Finds what nobody uses (facts 3.10). It remembers since when something looks unused, by address
 * and sequence number: an address that was given again starts anew.
 */
export class IpamCollector {
  readonly #suspects = new Patience();
  readonly #gone = new Patience();
  readonly #empty = new Patience();
  readonly #miscounted = new Patience();
  readonly #unsettled = new Patience();

  /** `graceMs` above 0: how long something must have looked unused. `nowMs` is monotonic. */
  observe(observation: Observation, graceMs: number, nowMs: number): CollectionPlan {
    const judged = this.#judge(observation, graceMs, nowMs);
    const leaks = leaksOf(judged);
    const leaked = new Set(
      leaks.flatMap(({ allocations }) => allocations.map((each) => each.address)),
    );
    return {
      leaks,
      emptyBlocks: this.#emptyBlocks(observation, graceMs, nowMs),
      goneNodes: goneNodes(observation, leaked),
      coldBlocks: coldBlocks(observation.blocks),
      miscounted: this.#miscounted.since(
        miscountedHandles(observation.handles, observation.allocations),
        ({ handle, resourceVersion, blocks }) => `${handle} ${resourceVersion} ${blocks.join()}`,
        { waitMs: () => graceMs, nowMs },
      ),
      unsettled: this.#unsettled.since(
        unsettledAffinities(observation.affinities, observation.blocks),
        ({ node, cidr, resourceVersion }) => `${node} ${cidr} ${resourceVersion}`,
        { waitMs: () => graceMs, nowMs },
      ),
      candidates: judged
        .filter(({ state, allocation }) => state !== "valid" && !leaked.has(allocation.address))
        .map(({ allocation }) => allocation),
    };
  }

  #judge({ allocations, nodes }: Observation, graceMs: number, nowMs: number): Judged[] {
    const used = allocations.map((allocation) => ({
      allocation,
      use: allocationUse(allocation, nodes),
    }));
    const ripe = (patience: Patience, wanted: AllocationUse, waitMs: (of: Allocation) => number) =>
      new Set(
        patience.since(
          used.filter(({ use }) => use === wanted).map(({ allocation }) => allocation),
          ({ address, sequenceNumber }) => `${address} ${sequenceNumber}`,
          { waitMs, nowMs },
        ),
      );
    const unused = ripe(this.#suspects, "unused", (allocation) => graceOf(allocation, graceMs));
    const gone = ripe(this.#gone, "node-gone", () => Math.min(graceMs, goneNodeGraceMs));
    return used.flatMap(({ allocation, use }): Judged[] => {
      if (use === "resting") return [];
      if (use === "used" || use === "unknown") return [{ allocation, state: "valid" }];
      const isRipe = unused.has(allocation) || gone.has(allocation);
      return [{ allocation, state: isRipe ? use : "suspect" }];
    });
  }

  #emptyBlocks({ blocks, nodes }: Observation, graceMs: number, nowMs: number): EmptyBlock[] {
    const owners = new Map([...nodes, loadBalancerHost].map((node) => [hostAffinity(node), node]));
    const owned = blocks.flatMap((block): EmptyBlock[] => {
      const { cidr, spec } = block;
      const node = owners.get(spec.affinity ?? "");
      if (node === undefined) return [];
      return [{ node, cidr, sequenceNumber: spec.sequenceNumber }];
    });
    const empty = new Set(blocks.filter(({ spec }) => isEmpty(spec)).map(({ cidr }) => cidr));
    const ripe = new Set(
      this.#empty.since(
        owned.filter(({ cidr }) => empty.has(cidr)),
        ({ cidr, sequenceNumber }) => `${cidr} ${sequenceNumber}`,
        { waitMs: () => graceMs, nowMs },
      ),
    );
    return [...groupBy(owned, nodeAndFamily).values()].flatMap((ofNode) => {
      const old = ofNode.filter((block) => ripe.has(block));
      // A node keeps one block, so that its next pod waits for no claim.
      return old.slice(old.length === ofNode.length ? 1 : 0);
    });
  }
}

/** Remembers since when something is as it is. */
class Patience {
  #since = new Map<string, number>();

  /** Those of `items` that were there, unchanged by `key`, at each look for their time to wait. */
  since<Item>(
    items: readonly Item[],
    key: (item: Item) => string,
    { waitMs, nowMs }: { readonly waitMs: (item: Item) => number; readonly nowMs: number },
  ): Item[] {
    const before = this.#since;
    this.#since = new Map(items.map((item) => [key(item), before.get(key(item)) ?? nowMs]));
    return items.filter((item) => nowMs - (this.#since.get(key(item)) ?? nowMs) >= waitMs(item));
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
      allocations: all.map(({ allocation }) => allocation),
    });
  }
  return leaks;
}

function goneNodes(observation: Observation, leaked: ReadonlySet<string>): string[] {
  const { affinities, blocks, allocations, nodes } = observation;
  const hosts = affinities.filter(({ spec }) => (spec.type ?? "host") === "host");
  const claimants = [
    ...hosts.map(({ spec }) => spec.node),
    ...blocks.flatMap(({ spec }) => affineNode(spec.affinity) ?? []),
  ];
  const gone = new Set(claimants.filter((node) => !nodes.has(node)));
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

function graceOf({ attributes, machine }: Allocation, graceMs: number): number {
  const isVm = machine !== undefined || attributes["pod"]?.startsWith("virt-launcher-") === true;
  return isVm ? Math.max(graceMs, minVmGraceMs) : graceMs;
}

function nodeAndFamily({ node, cidr }: EmptyBlock): string {
  return `${prefixFamily(cidr)} ${node}`;
}
