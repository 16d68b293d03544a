import { prefixesOverlap } from "../../lib/prefix.ts";
import { defaultPort } from "../config/bgp-nodes.ts";
import type { Placed } from "./read.ts";
import type { NeighborValues } from "./values.ts";

/** Our end, as the file says it. */
export interface Listener {
  readonly address: string;
  readonly port: number;
}

/**
 * Neighbors that one connection could belong to: a peer is known by its address, and by our own where
 * two have different ones. A peer inside the prefix of a dynamic neighbor is none: it comes first.
 */
export function checkOverlaps(
  neighbors: readonly Placed<NeighborValues>[],
  listeners: readonly Listener[],
): void {
  neighbors.forEach((neighbor, index) => {
    for (const before of neighbors.slice(0, index)) checkPair(neighbor, before);
    checkSelf(neighbor, listeners);
  });
}

function checkPair({ value: a }: Placed<NeighborValues>, before: Placed<NeighborValues>): void {
  const { value: b, at } = before;
  if (a.name !== undefined && a.name.value === b.name?.value) {
    a.name.at.wrong(`${at.field} on line ${at.line} has the same name`);
  }
  if (a.prefix !== undefined && b.prefix !== undefined) {
    if (!prefixesOverlap(a.prefix.value, b.prefix.value)) return;
    a.prefix.at.wrong(`overlaps ${at.field}, ${b.prefix.value} on line ${b.prefix.at.line}`);
  }
  if (a.address === undefined || a.address.value !== b.address?.value || a.zone !== b.zone) return;
  const [mine, theirs] = [a.localAddress?.value, b.localAddress?.value];
  if (mine !== undefined && theirs !== undefined && mine !== theirs) return;
  const ports = (a.port ?? defaultPort) === (b.port ?? defaultPort) ? " and port" : "";
  a.address.at.wrong(`overlaps ${at.field} on line ${at.line}, which has the same address${ports}`);
}

function checkSelf({ value }: Placed<NeighborValues>, listeners: readonly Listener[]): void {
  const { address, port = defaultPort } = value;
  if (!listeners.some((own) => own.address === address?.value && own.port === port)) return;
  address?.at.wrong(`is where we listen ourselves, with port ${port}`);
}
