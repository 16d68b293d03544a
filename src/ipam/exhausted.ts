import { prefixContains, prefixSize } from "../lib/prefix.ts";
import type { FamilyRequest } from "./assign-family.ts";
import { countAddresses, ownerOf } from "./block.ts";
import { IpamError } from "./ipam-error.ts";
import type { StoredBlock } from "./ipam-records.ts";
import { reservedSize } from "./reservations.ts";

/** Nodes that one message names. */
const maxNodes = 3;

/**
 * That no pool of the request has a free address: how full each is, and which nodes have addresses
 * though they do not exist.
 */
export function exhausted(
  request: FamilyRequest,
  blocks: readonly StoredBlock[],
  nodes: ReadonlySet<string>,
): IpamError {
  const { family, node, config, count } = request;
  const inPools = blocks.filter(({ cidr }) =>
    request.pools.some((pool) => prefixContains(pool.cidr, cidr)),
  );
  const strict =
    config.strictAffinity === true ? "; strictAffinity keeps it from other nodes' blocks" : "";
  const asked = `${count} IPv${family} address${count === 1 ? "" : "es"}`;
  return new IpamError(
    `Cannot assign ${asked} to ${node}: no free address (${usages(request, blocks).join("; ")})${strict}${leaks(inPools, nodes)}`,
    { code: "pool-exhausted", family, pools: request.pools.map(({ name }) => name) },
  );
}

function usages(request: FamilyRequest, blocks: readonly StoredBlock[]): string[] {
  return request.pools.map((pool) => {
    const counts = blocks
      .filter(({ cidr }) => prefixContains(pool.cidr, cidr))
      .map(({ spec }) => countAddresses(spec));
    const inUse = counts.reduce((sum, each) => sum + each.inUse, 0);
    const cooling = counts.reduce((sum, each) => sum + each.cooling, 0);
    const cool = cooling === 0 ? "" : `, ${cooling} cooling down`;
    const reserved = reservedSize(pool.cidr, request.reserved);
    const kept = reserved === 0n ? "" : `, ${reserved} reserved`;
    return `${pool.name} ${pool.cidr}: ${inUse} of ${prefixSize(pool.cidr)} in use${cool}${kept}`;
  });
}

/** Who could be leaking: addresses by their node, where it is gone. */
function leaks(blocks: readonly StoredBlock[], nodes: ReadonlySet<string>): string {
  const gone = new Map<string, number>();
  for (const { spec } of blocks) {
    for (const ordinal of spec.allocations.keys()) {
      const node = ownerOf(spec, ordinal)?.secondary?.["node"];
      if (node !== undefined && !nodes.has(node)) gone.set(node, (gone.get(node) ?? 0) + 1);
    }
  }
  if (gone.size === 0) return "";
  const most = [...gone].sort(([, a], [, b]) => b - a);
  const named = most.slice(0, maxNodes).map(([node, count]) => `${node} has ${count}`);
  const more = most.length > maxNodes ? ` and ${most.length - maxNodes} more nodes` : "";
  return `; perhaps leaked, as the node does not exist: ${named.join(", ")}${more} (see "tortie ipam check")`;
}
