import { compareText } from "../lib/collections.ts";
import { isSameSubnet, type PathPeer } from "./peers.ts";

/**
 * The peers of one run: at most `count`, half of them of the node's own subnet where there are so many.
 * Each run goes on where the one before ended (`turn` counts them), so that each peer has its turn.
 * `start` (0 to 1) differs from node to node, so that not all probe the same one at a time. Pure.
 */
export function samplePeers(
  own: PathPeer,
  peers: readonly PathPeer[],
  { count, turn, start }: { readonly count: number; readonly turn: number; readonly start: number },
): PathPeer[] {
  const sorted = peers.toSorted((a, b) => compareText(a.name, b.name));
  const [near, far] = [
    sorted.filter((peer) => isSameSubnet(own, peer)),
    sorted.filter((peer) => !isSameSubnet(own, peer)),
  ];
  const ofFar = Math.min(far.length, Math.max(Math.ceil(count / 2), count - near.length));
  const ofNear = Math.min(near.length, count - ofFar);
  return [...window(near, ofNear, { turn, start }), ...window(far, ofFar, { turn, start })];
}

function window(
  peers: readonly PathPeer[],
  count: number,
  { turn, start }: { readonly turn: number; readonly start: number },
): PathPeer[] {
  const first = Math.floor(start * peers.length) + turn * count;
  return Array.from({ length: count }, (_, i) => peers[(first + i) % peers.length]).filter(
    (peer) => peer !== undefined,
  );
}
