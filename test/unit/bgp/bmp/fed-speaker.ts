import type { MessageTap } from "../../../../src/bgp/peer/message-tap.ts";
import type { Negotiated } from "../../../../src/bgp/peer/peer.ts";
import { NextHops } from "../../../../src/bgp/rib/next-hop.ts";
import type { SpeakerEvent } from "../../../../src/bgp/speaker/events.ts";
import { Speaker } from "../../../../src/bgp/speaker/speaker.ts";
import type { SpeakerHost, SpeakerWatcher } from "../../../../src/bgp/speaker/speaker-host.ts";
import type { PackedPrefixes, UpdateMessage } from "../../../../src/bgp/wire/message.ts";
import { encodeNotification } from "../../../../src/bgp/wire/notification.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import { type IpAddr, parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { pack } from "../../../support/packed-prefixes.ts";
import { type PlainPeer, plainSpeaker } from "../speaker/plain.ts";

export const own = "192.0.2.1";

export function nameOf(address: string): string {
  return `Static_${address.replaceAll(/[.:]/g, "_")}`;
}

/** A speaker core that watchers see, with peers of which tests make every event. */
export class FedSpeaker {
  readonly speaker: Speaker = new Speaker();
  readonly #watchers = new Set<SpeakerWatcher>();

  /** `watch`: for those who want to see all events from the first on. */
  constructor(
    peers: readonly PlainPeer[],
    ownAsn: number = 64_512,
    watch: (host: Pick<SpeakerHost, "watch">) => void = () => undefined,
  ) {
    watch(this);
    this.post({
      kind: "nextHops",
      nextHops: new NextHops({ routes: [], ownAddresses: [parseIpAddr(own)] }),
    });
    const config = plainSpeaker({ address: own, asn: ownAsn }, peers, { install: false });
    this.post({ kind: "configured", config });
  }

  watch(watcher: SpeakerWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  post(event: SpeakerEvent): void {
    for (const watcher of this.#watchers) watcher.event?.(event);
    for (const effect of this.speaker.handle(event)) {
      if (effect.kind === "flushSoon") this.post({ kind: "flush" });
    }
  }

  up(address: string, more: Partial<Negotiated> = {}): void {
    const config = this.speaker.peers.get(nameOf(address))?.peer.config;
    const negotiated: Negotiated = {
      holdSeconds: 90,
      keepaliveSeconds: 30,
      families: [4, 6],
      fourOctetAs: true,
      routeRefresh: true,
      enhancedRouteRefresh: true,
      peerRouterId: 0x0a000001,
      peerAs: config?.remoteAs ?? (1 as Asn),
      localAddress: parseIpAddr(own),
      peerAddress: parseIpAddr(address),
      capabilities: {
        local: [{ kind: "fourOctetAs", asn: 64512 as Asn }, { kind: "routeRefresh" }],
        remote: [{ kind: "fourOctetAs", asn: config?.remoteAs ?? (1 as Asn) }],
      },
      offeredHoldSeconds: { local: 90, remote: 240 },
      ports: { local: 179, remote: 40_000 },
      ...more,
    };
    this.post({ kind: "peer", event: { kind: "established", name: nameOf(address), negotiated } });
  }

  update(address: string, parts: Partial<UpdateMessage>): void {
    const update: UpdateMessage = {
      kind: "update",
      withdrawn: [],
      announced: [],
      endOfRib: [],
      ...parts,
    };
    this.post({ kind: "peer", event: { kind: "update", name: nameOf(address), update } });
  }

  announce(address: string, prefixes: string | PackedPrefixes, nextHop: string = address): void {
    const packed = typeof prefixes === "string" ? pack(...prefixes.split(" ")) : prefixes;
    this.update(address, {
      announced: [{ prefixes: packed, nextHop: nextHop as IpAddr }],
      attributes: { origin: 0, asPath: [{ kind: "sequence", asns: [65_001 as Asn] }] },
    });
  }

  down(address: string, graceful = false): void {
    const name = nameOf(address);
    this.post({ kind: "peer", event: { kind: "down", name, reason: "test", graceful } });
  }

  /** A NOTIFICATION passes on the session. */
  notification(address: string, direction: "sent" | "received", subcode: number): void {
    const peer = this.speaker.peers.get(nameOf(address))?.peer.config;
    if (peer === undefined) return;
    const bytes = encodeNotification({ code: 6, subcode, data: new Uint8Array(0) });
    const connection = { localAddress: parseIpAddr(own), remoteAddress: parseIpAddr(address) };
    const seen: Parameters<MessageTap>[0] = { direction, peer, connection, bytes };
    for (const watcher of this.#watchers) watcher.messages?.(seen);
  }
}
