import { localPeer } from "../rib/adj-rib-in.ts";
import type { FamilyRib } from "../rib/family-rib.ts";
import { type ReceivedPath, receivedPaths } from "../speaker/received-paths.ts";
import type { Speaker } from "../speaker/speaker.ts";
import { encodePeerIndexTable, encodeRib, type TableEntry, unspecified } from "./mrt-record.ts";

/** Ids that are looked at between two places where others may have their turn. */
const idsPerStep = 512;
/**
 * Every path that peers have told, and our own as those of peer 0.0.0.0, as MRT records
 * (TABLE_DUMP_V2, RFC 6396 section 4.3). When a route came is not known: entries have the time of the
 * dump. Undefined between records: a good place to pause, during which the RIB may change.
 */
export function* tableDump(speaker: Speaker, date: Date): Generator<Uint8Array | undefined> {
  const { routerId = 0, asn = 0 } = speaker.config ?? {};
  const known = [...speaker.peers.all()];
  const peers = known.map((state) => ({
    routerId: state.routerId,
    address: state.peer.config.address,
    asn: state.peer.config.remoteAs,
  }));
  const self = { routerId, address: unspecified[4], asn };
  yield encodePeerIndexTable(date, { collectorId: routerId, peers: [self, ...peers] });
  const names = new Map(known.map(({ peer }, index) => [peer.config.name, index + 1]));
  const indexOf = (peer: number) =>
    peer === localPeer ? 0 : names.get(speaker.peers.numbered(peer)?.peer.config.name ?? "");
  let sequence = 0;
  for (const { rib } of [speaker.families[4], speaker.families[6]]) {
    for (let prefixId = 0; prefixId < rib.table.idEnd; prefixId++) {
      if (prefixId % idsPerStep === 0) yield undefined;
      if (!rib.adjIn.hasPaths(prefixId)) continue;
      for (const entries of entryLists(receivedPaths(speaker, rib, prefixId), rib, indexOf)) {
        const prefix = rib.table.prefixAt(prefixId);
        yield encodeRib(date, prefix, { sequence: sequence++, entries });
      }
    }
  }
}

/** Entries without path identifiers, then those with: they go into records of their own. */
function entryLists(
  paths: readonly ReceivedPath[],
  { family }: FamilyRib,
  indexOf: (peer: number) => number | undefined,
): readonly (readonly TableEntry[])[] {
  const plain: TableEntry[] = [];
  const withPathId: TableEntry[] = [];
  for (const { peer, pathId, attributes, nextHop = unspecified[family] } of paths) {
    const peerIndex = indexOf(peer);
    if (peerIndex === undefined) continue;
    const entry = { peerIndex, attributes, nextHop };
    if (pathId === 0) plain.push(entry);
    else withPathId.push({ ...entry, pathId });
  }
  return [plain, withPathId].filter((entries) => entries.length > 0);
}
