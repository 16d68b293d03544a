import type { ElectionNode } from "./election-view.ts";

/** What an elected node has told of its sessions. */
export interface SessionReport {
  /** Its Lease is renewed, or is not seen for long enough to say so. */
  readonly isAlive: boolean;
  /** It is of the time since the node was elected. */
  readonly isCurrent: boolean;
  /** Addresses with which it has Established sessions. */
  readonly established: ReadonlySet<string>;
}

export type Reports = ReadonlyMap<string, SessionReport>;

/** What is known of sessions with reflectors. */
export interface Sessions {
  readonly reports: Reports;
  /** Nodes that none of the reflectors that live reaches, and for how many ms. */
  readonly uncovered: ReadonlyMap<string, number>;
}

/** A node may be without a reflector for so long: a restart is shorter, and its routes are kept for longer. */
export const uncoveredMs = 90_000;

/** True when a node has a session with a reflector that lives, or is one itself. */
export function isCovered(node: ElectionNode, reports: Reports): boolean {
  for (const [name, report] of reports) {
    if (!report.isAlive) continue;
    if (name === node.name ? report.established.size > 0 : reaches(report, node)) return true;
  }
  return false;
}

/**
 * Nodes whose routes matter: not those that Kubernetes knows to be down, nor drained ones that nobody has reached for a
 * while.
 */
export function livingNodes(
  nodes: readonly ElectionNode[],
  uncovered: ReadonlyMap<string, number>,
): ElectionNode[] {
  return nodes.filter(
    ({ name, mayWork, isDrained }) =>
      mayWork && (!isDrained || (uncovered.get(name) ?? 0) < uncoveredMs),
  );
}

/** Why not every living node has a session with this reflector; "" when each has. */
export function whyIncomplete(
  reflector: string,
  nodes: readonly ElectionNode[],
  { reports, uncovered }: Sessions,
): string {
  const report = reports.get(reflector);
  if (report === undefined || !report.isAlive || !report.isCurrent) {
    return `${reflector} has not told of its sessions yet`;
  }
  const missing = livingNodes(nodes, uncovered).filter(
    (node) => node.name !== reflector && !reaches(report, node),
  );
  const [first] = missing;
  if (first === undefined) return "";
  const others = missing.length === 1 ? "" : ` (and ${missing.length - 1} more)`;
  return `${first.name}${others} has no session with ${reflector}`;
}

function reaches({ established }: SessionReport, { addresses }: ElectionNode): boolean {
  return addresses.every((address) => established.has(address));
}
