import { hash } from "node:crypto";
import { compareText, groupBy } from "../../lib/collections.ts";
import { type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import type { ElectionNode } from "./election-view.ts";

/**
 * The reflectors that a cluster is to have, by name: `perZone` of each zone, or as many as it has. Who is elected and
 * still fit stays; others come in the order of a hash of their name (rendezvous hashing), so that no two controllers
 * differ, and a node that comes or goes moves no other. Where there are too few that are fit, a leaving one stays.
 */
export function chosenReflectors(
  nodes: readonly ElectionNode[],
  perZone: number,
  unfit: ReadonlySet<string>,
): ReadonlySet<string> {
  const families = new Set(nodes.flatMap(familiesOf));
  const able = nodes.filter(
    (node) =>
      node.mayWork &&
      !node.isForeign &&
      !unfit.has(node.name) &&
      new Set(familiesOf(node)).size === families.size,
  );
  const chosen = [...groupBy(able, ({ zone }) => zone).values()].flatMap((zone) =>
    zone
      .filter(({ isElected, isLeaving }) => isElected || !isLeaving)
      .map((node) => ({ name: node.name, rank: rankOf(node), weight: weightOf(node) }))
      .sort((a, b) => a.rank - b.rank || compareText(a.weight, b.weight))
      .slice(0, perZone),
  );
  return new Set(chosen.map(({ name }) => name));
}

/** Lower is better. */
function rankOf({ isElected, isLeaving }: ElectionNode): number {
  if (isLeaving) return 2;
  return isElected ? 0 : 1;
}

/** Of equal hashes, which nobody will see, the name decides. */
function weightOf({ zone, name }: ElectionNode): string {
  return `${hash("sha256", `${zone}/${name}`)} ${name}`;
}

function familiesOf({ addresses }: ElectionNode): IpFamily[] {
  return addresses.map(ipFamily);
}
