import type { IpAddr } from "../../lib/ip-addr.ts";
import type { StoredPath } from "../rib/adj-rib-in.ts";
import type { FamilyRib } from "../rib/family-rib.ts";
import type { PackedPrefixes, PathAttributes } from "../wire/message.ts";
import type { Speaker } from "./speaker.ts";

/** A path as the Adj-RIB-In has it: what a peer has told, before import policy. */
export interface ReceivedPath {
  /** Number of the peer, 0 for our own. */
  readonly peer: number;
  /** 0 without ADD-PATH. */
  readonly pathId: number;
  readonly stale: boolean;
  /** Equal for equal attributes with equal next hops, as long as it is in use. */
  readonly attributesId: number;
  readonly attributes: PathAttributes;
  /** Absent: ourselves. */
  readonly nextHop: IpAddr | undefined;
}

/** Every path to a prefix, by the prefix's id. */
export function receivedPaths(
  speaker: Speaker,
  rib: FamilyRib,
  prefixId: number,
): readonly ReceivedPath[] {
  return rib.adjIn.paths(prefixId).map((stored: StoredPath & { readonly pathId?: number }) => {
    const { peer, stale, attributesId, pathId = 0 } = stored;
    const { attributes, nextHop } = speaker.attributes.get(attributesId);
    return { peer, pathId, stale, attributesId, attributes, nextHop };
  });
}

/** Prefixes by their ids, with a path identifier each where `pathIds` are given. */
export function prefixesById(
  { table }: FamilyRib,
  prefixIds: readonly number[],
  pathIds?: readonly number[],
): PackedPrefixes {
  const { packed, family } = table;
  const stride = family === 4 ? 1 : 4;
  const words = new Uint32Array(prefixIds.length * stride);
  const lengths = new Uint8Array(prefixIds.length);
  prefixIds.forEach((id, index) => {
    words.set(packed.words.subarray(id * stride, (id + 1) * stride), index * stride);
    lengths[index] = packed.lengths[id] ?? 0;
  });
  const plain = { family, count: prefixIds.length, words, lengths };
  return pathIds === undefined ? plain : { ...plain, pathIds: Uint32Array.from(pathIds) };
}
