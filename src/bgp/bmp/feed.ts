import type { Clock } from "../../lib/clock.ts";
import type { MessageTap } from "../peer/message-tap.ts";
import type { Negotiated, PeerConfig, PeerEvent } from "../peer/peer.ts";
import type { SpeakerEvent } from "../speaker/events.ts";
import { prefixesById, receivedPaths } from "../speaker/received-paths.ts";
import type { FamilyState, Speaker } from "../speaker/speaker.ts";
import type { EncodeOptions } from "../wire/context.ts";
import { encodeEndOfRib, encodeUpdates, encodeWithdrawals } from "../wire/encode-updates.ts";
import { afiOf, safiUnicast } from "../wire/family.ts";
import { maxExtendedLength, maxMessageLength, messageType } from "../wire/header.ts";
import type { PackedPrefixes, UpdateMessage } from "../wire/message.ts";
import { encodeOpen } from "../wire/open.ts";
import {
  type BmpPeer,
  encodePeerDown,
  encodePeerUp,
  encodeRouteMonitoring,
  encodeStatistics,
  type PeerDownReason,
} from "./message.ts";

/** An Established session, as a collector knows it. */
interface FedPeer {
  readonly name: string;
  readonly peer: BmpPeer;
  readonly negotiated: Negotiated;
  readonly up: Uint8Array;
  lastNotification?: PeerDownReason;
  updatesAsWithdraw: number;
  prefixesAsWithdraw: number;
}

/** Ids that are looked at between two places where others may have their turn. */
const idsPerStep = 512;

/**
 * What collectors are told (RFC 7854): sessions that come and go, and the Adj-RIBs-In before policy.
 * UPDATEs are written anew from what was decoded: a malformed one counts as the withdrawal that it was
 * treated as. Pure but for the clock: the sockets are those of collector.ts.
 */
export class BmpFeed {
  readonly #speaker: Speaker;
  readonly #clock: Pick<Clock, "date">;
  readonly #peers = new Map<string, FedPeer>();

  constructor(speaker: Speaker, clock: Pick<Clock, "date">) {
    this.#speaker = speaker;
    this.#clock = clock;
  }

  /**
   * BMP messages for an event that the speaker has not handled yet. When nobody listens, routes are
   * only counted.
   */
  messagesOf(event: SpeakerEvent, isHeard: boolean): Uint8Array[] {
    if (event.kind === "peer") return this.#peerEvent(event.event, isHeard);
    if (event.kind !== "timerExpired" || !isHeard) return [];
    const [what, name = ""] = event.timer.split(" ");
    return what === "stale" || what === "settle" ? this.#staleGone(name) : [];
  }

  /** Remembers a NOTIFICATION, for the end of the session that follows. */
  readonly tap: MessageTap = ({ direction, peer, bytes }) => {
    const fed = this.#peers.get(peer.name);
    if (fed === undefined || bytes[18] !== messageType.notification) return;
    const kind = direction === "sent" ? "localNotification" : "remoteNotification";
    fed.lastNotification = { kind, notification: bytes.slice() };
  };

  /** Peer Up of every session that there is. */
  peersUp(): Uint8Array[] {
    return [...this.#peers.values()].map(({ up }) => up);
  }

  /**
   * Every route of every session, then an End-of-RIB for each family (section 5). Undefined between
   * messages: a good place to pause, during which sessions and routes may change.
   */
  *routes(): Generator<Uint8Array | undefined> {
    const { families } = this.#speaker;
    for (const family of [families[4], families[6]]) {
      for (let first = 0; first < family.rib.table.idEnd; first += idsPerStep) {
        yield* this.#routesOf(family, first);
        yield undefined;
      }
    }
    for (const fed of this.#peers.values()) {
      for (const family of fed.negotiated.families) {
        yield this.#monitoring(fed, encodeEndOfRib(family));
      }
    }
  }

  /** Statistics of every session. */
  statistics(): Uint8Array[] {
    const { families, peers } = this.#speaker;
    return [...this.#peers.values()].map((fed) => {
      const number = peers.get(fed.name)?.number ?? -1;
      const routes = fed.negotiated.families.map((family) => ({
        afi: afiOf(family),
        safi: safiUnicast,
        count: families[family].rib.adjIn.countOf(number),
      }));
      const { updatesAsWithdraw, prefixesAsWithdraw } = fed;
      const counts = { routes, updatesAsWithdraw, prefixesAsWithdraw };
      return encodeStatistics(this.#stamp(fed), counts);
    });
  }

  #peerEvent(event: PeerEvent, isHeard: boolean): Uint8Array[] {
    switch (event.kind) {
      case "established":
        return this.#established(event.name, event.negotiated);
      case "update":
        return this.#update(event.name, event.update, isHeard);
      case "refreshMarker":
        return isHeard && event.marker === "end" ? this.#staleGone(event.name) : [];
      case "down":
        return this.#down(event.name);
      default:
        return [];
    }
  }

  #established(name: string, negotiated: Negotiated): Uint8Array[] {
    const config = this.#speaker.peers.get(name)?.peer.config;
    if (config === undefined) return [];
    const peer: BmpPeer = {
      address: negotiated.peerAddress,
      asn: negotiated.peerAs,
      routerId: negotiated.peerRouterId,
      isOldSpeaker: !negotiated.fourOctetAs,
    };
    const up = encodePeerUp({ peer, date: this.#clock.date() }, peerUpOf(config, negotiated));
    const counts = { updatesAsWithdraw: 0, prefixesAsWithdraw: 0 };
    this.#peers.set(name, { name, peer, negotiated, up, ...counts });
    return [up];
  }

  #update(name: string, update: UpdateMessage, isHeard: boolean): Uint8Array[] {
    const fed = this.#peers.get(name);
    if (fed === undefined) return [];
    if (update.treatedAsWithdraw !== undefined) {
      fed.updatesAsWithdraw++;
      fed.prefixesAsWithdraw += update.withdrawn.reduce((sum, { count }) => sum + count, 0);
    }
    if (!isHeard) return [];
    const stale = update.endOfRib.length > 0 ? this.#staleGone(name) : [];
    const messages = updateMessages(update, fed.negotiated);
    return [...stale, ...messages.map((message) => this.#monitoring(fed, message))];
  }

  #down(name: string): Uint8Array[] {
    const fed = this.#peers.get(name);
    if (fed === undefined) return [];
    this.#peers.delete(name);
    const { lastNotification = { kind: "remoteClosed" } } = fed;
    return [encodePeerDown(this.#stamp(fed), lastNotification)];
  }

  /** Withdraws what is stale, which the speaker is about to forget without a word of the peer. */
  #staleGone(name: string): Uint8Array[] {
    const fed = this.#peers.get(name);
    const number = this.#speaker.peers.get(name)?.number;
    if (fed === undefined || number === undefined) return [];
    const { families } = this.#speaker;
    return fed.negotiated.families.flatMap((family) => {
      const { rib } = families[family];
      const gone = rib.adjIn.prefixesOf(number).flatMap((prefixId) =>
        receivedPaths(this.#speaker, rib, prefixId)
          .filter(({ peer, stale }) => stale && peer === number)
          .map(({ pathId }) => ({ prefixId, pathId })),
      );
      if (gone.length === 0) return [];
      const options = encodeOptions(fed.negotiated, family);
      const prefixes = prefixesById(
        rib,
        gone.map(({ prefixId }) => prefixId),
        options.addPath ? gone.map(({ pathId }) => pathId) : undefined,
      );
      const messages = encodeWithdrawals(prefixes, options);
      return messages.map((message) => this.#monitoring(fed, message));
    });
  }

  /** Routes to some prefixes, those of one peer with equal attributes together. */
  *#routesOf({ rib }: FamilyState, first: number): Generator<Uint8Array> {
    const { peers } = this.#speaker;
    const batches = new Map<string, Batch>();
    for (let prefixId = first; prefixId < first + idsPerStep; prefixId++) {
      if (prefixId >= rib.table.idEnd || !rib.adjIn.hasPaths(prefixId)) continue;
      for (const path of receivedPaths(this.#speaker, rib, prefixId)) {
        const fed = this.#peers.get(peers.numbered(path.peer)?.peer.config.name ?? "");
        if (fed === undefined || path.stale || path.nextHop === undefined) continue;
        const { attributes, nextHop } = path;
        const key = `${path.peer} ${path.attributesId}`;
        const batch = batches.get(key) ?? { fed, attributes, nextHop, prefixIds: [], pathIds: [] };
        batches.set(key, batch);
        batch.prefixIds.push(prefixId);
        batch.pathIds.push(path.pathId);
      }
    }
    for (const { fed, attributes, nextHop, prefixIds, pathIds } of batches.values()) {
      const options = encodeOptions(fed.negotiated, rib.family);
      const prefixes = prefixesById(rib, prefixIds, options.addPath ? pathIds : undefined);
      for (const message of encodeUpdates({ attributes, nextHop, prefixes }, options)) {
        yield this.#monitoring(fed, message);
      }
    }
  }

  #monitoring(fed: FedPeer, update: Uint8Array): Uint8Array {
    return encodeRouteMonitoring(this.#stamp(fed), update);
  }

  #stamp({ peer }: FedPeer): { readonly peer: BmpPeer; readonly date: Date } {
    return { peer, date: this.#clock.date() };
  }
}

interface Batch {
  readonly fed: FedPeer;
  readonly attributes: NonNullable<UpdateMessage["attributes"]>;
  readonly nextHop: UpdateMessage["announced"][number]["nextHop"];
  readonly prefixIds: number[];
  readonly pathIds: number[];
}

/** The OPENs as they were but for the order of what is in them. */
function peerUpOf(config: PeerConfig, negotiated: Negotiated) {
  const { localAddress, ports, capabilities, offeredHoldSeconds, holdSeconds } = negotiated;
  return {
    localAddress,
    localPort: ports?.local ?? 0,
    remotePort: ports?.remote ?? 0,
    sentOpen: encodeOpen({
      kind: "open",
      asn: config.localAs,
      holdSeconds: offeredHoldSeconds?.local ?? config.holdSeconds,
      routerId: config.localRouterId,
      capabilities: capabilities?.local ?? [],
    }),
    receivedOpen: encodeOpen({
      kind: "open",
      asn: negotiated.peerAs,
      holdSeconds: offeredHoldSeconds?.remote ?? holdSeconds,
      routerId: negotiated.peerRouterId,
      capabilities: capabilities?.remote ?? [],
    }),
  };
}

/** How UPDATEs of a session look, as we received them. */
function encodeOptions(
  { fourOctetAs, addPath, extendedNextHop, extendedMessages }: Negotiated,
  family: PackedPrefixes["family"],
): EncodeOptions {
  return {
    fourOctetAs,
    addPath: addPath?.receive.includes(family) ?? false,
    extendedNextHop: extendedNextHop === true,
    maxMessageLength: extendedMessages === true ? maxExtendedLength : maxMessageLength,
  };
}

function updateMessages(update: UpdateMessage, negotiated: Negotiated): Uint8Array[] {
  const { attributes, withdrawn, announced, endOfRib } = update;
  return [
    ...withdrawn.flatMap((prefixes) =>
      encodeWithdrawals(prefixes, encodeOptions(negotiated, prefixes.family)),
    ),
    ...announced.flatMap(({ prefixes, nextHop }) =>
      attributes === undefined
        ? []
        : encodeUpdates(
            { attributes, nextHop, prefixes },
            encodeOptions(negotiated, prefixes.family),
          ),
    ),
    ...endOfRib.map((family) => encodeEndOfRib(family)),
  ];
}
