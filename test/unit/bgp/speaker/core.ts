import assert from "node:assert/strict";
import type { SpeakerConfig } from "../../../../src/bgp/config/speaker-config.ts";
import type { Negotiated, PeerConfig } from "../../../../src/bgp/peer/peer.ts";
import { packPrefixes, unpackPrefix } from "../../../../src/bgp/rib/packed-prefix.ts";
import type { SpeakerEvent } from "../../../../src/bgp/speaker/events.ts";
import { Speaker } from "../../../../src/bgp/speaker/speaker.ts";
import type { DecodeContext } from "../../../../src/bgp/wire/context.ts";
import { encodeUpdates, encodeWithdrawals } from "../../../../src/bgp/wire/encode-updates.ts";
import type { PackedPrefixes, PathAttributes } from "../../../../src/bgp/wire/message.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { connected, messagesIn } from "./network.ts";

/** What a peer tells: a route, or without attributes that there is none. */
export interface Told {
  readonly prefix: string;
  readonly pathId?: number;
  readonly attributes?: PathAttributes;
  readonly nextHop?: string;
}

interface CoreOptions {
  readonly now?: () => number;
  /** Where next hops are on the link. */
  readonly network?: string;
}

/** One speaker core, and the routes that its peers have by the messages that they were sent. */
export class Core {
  readonly speaker: Speaker;
  /** By session name: "PREFIX" or "PREFIX ID" to the route as text. */
  readonly tables: Map<string, Map<string, string>> = new Map();
  readonly #peers = new Map<
    string,
    { readonly config: PeerConfig; readonly context: DecodeContext }
  >();
  #flushAsked = false;

  /** `now`: the speaker's clock. Absent: nothing is ever cut short. */
  constructor(config: SpeakerConfig, { now, network = "192.168.0.0/16" }: CoreOptions = {}) {
    this.speaker = new Speaker(now === undefined ? {} : { now });
    const [own] = config.listenAddresses;
    assert.ok(own !== undefined);
    this.post({ kind: "nextHops", nextHops: connected(own, network) });
    this.post({ kind: "configured", config });
  }

  post(event: SpeakerEvent): void {
    for (const effect of this.speaker.handle(event)) {
      if (effect.kind === "flushSoon") this.#flushAsked = true;
      else if (effect.kind === "send") this.#take(effect.name, effect.bytes);
    }
  }

  flush(): void {
    if (!this.#flushAsked) return;
    this.#flushAsked = false;
    this.post({ kind: "flush" });
  }

  settle(): void {
    while (this.#flushAsked) this.flush();
  }

  up(config: PeerConfig, negotiated: Partial<Negotiated> = {}): void {
    const { name, address, localAddress, remoteAs, localAs } = config;
    assert.ok(localAddress !== undefined);
    const families = [4] as const;
    const { addPath } = negotiated;
    this.tables.set(name, new Map());
    const context = {
      fourOctetAs: true,
      external: remoteAs !== localAs,
      families,
      addPath: addPath?.send ?? [],
    };
    this.#peers.set(name, { config, context });
    const session = {
      holdSeconds: 90,
      keepaliveSeconds: 30,
      families,
      fourOctetAs: true,
      routeRefresh: true,
      peerRouterId: Number(address.split(".")[3]),
      peerAs: remoteAs,
      localAddress,
      peerAddress: address,
      ...negotiated,
    };
    this.post({ kind: "peer", event: { kind: "established", name, negotiated: session } });
  }

  /** As octets on the wire. */
  tell(name: string, { prefix, pathId, attributes, nextHop = "" }: Told): void {
    const peer = this.#peers.get(name);
    assert.ok(peer !== undefined, name);
    const packed = packPrefixes([parsePrefix(prefix)], 4);
    const prefixes = pathId === undefined ? packed : { ...packed, pathIds: Uint32Array.of(pathId) };
    const addPath = pathId !== undefined;
    const messages =
      attributes === undefined
        ? encodeWithdrawals(prefixes, { addPath })
        : encodeUpdates(
            { attributes, nextHop: parseIpAddr(nextHop), prefixes },
            { fourOctetAs: true, addPath },
          );
    const context = { ...peer.context, addPath: addPath ? ([4] as const) : [] };
    for (const message of messages.flatMap((bytes) => messagesIn(bytes, context))) {
      assert.equal(message.kind, "update");
      if (message.kind !== "update") continue;
      this.post({ kind: "peer", event: { kind: "update", name, update: message } });
    }
  }

  /** Best route of each prefix: who told it, and what. */
  get locRib(): Map<string, string> {
    const { rib } = this.speaker.families[4];
    const found = new Map<string, string>();
    for (const prefixId of rib.table.ids()) {
      const best = rib.loc.get(prefixId);
      if (best === undefined) continue;
      const peer = this.speaker.peers.numbered(best.peer)?.peer.config.name ?? "local";
      const { attributes, nextHop } = this.speaker.attributes.get(best.attributesId);
      found.set(rib.table.prefixAt(prefixId), JSON.stringify([peer, attributes, nextHop]));
    }
    return found;
  }

  #take(name: string, bytes: Uint8Array): void {
    const context = this.#peers.get(name)?.context;
    const table = this.tables.get(name);
    assert.ok(context !== undefined && table !== undefined, name);
    for (const message of messagesIn(bytes, context)) {
      if (message.kind !== "update") continue;
      const { withdrawn, announced, attributes } = message;
      for (const prefixes of withdrawn) for (const key of keysOf(prefixes)) table.delete(key);
      for (const { prefixes, nextHop } of announced) {
        for (const key of keysOf(prefixes)) table.set(key, JSON.stringify([attributes, nextHop]));
      }
    }
  }
}

function keysOf(prefixes: PackedPrefixes): string[] {
  return Array.from({ length: prefixes.count }, (_, i) => {
    const pathId = prefixes.pathIds?.[i];
    const prefix = unpackPrefix(prefixes, i);
    return pathId === undefined ? prefix : `${prefix} ${pathId}`;
  });
}
