import { setImmediate as turn } from "node:timers/promises";
import type { SpeakerConfig } from "../../src/bgp/config/speaker-config.ts";
import type { PeerConfig, PeerEvent } from "../../src/bgp/peer/peer.ts";
import { NextHops } from "../../src/bgp/rib/next-hop.ts";
import type { SpeakerEvent } from "../../src/bgp/speaker/events.ts";
import { Speaker } from "../../src/bgp/speaker/speaker.ts";
import { decodeMessage } from "../../src/bgp/wire/decode.ts";
import { type Frame, FrameSplitter } from "../../src/bgp/wire/frame.ts";
import type { UpdateMessage } from "../../src/bgp/wire/message.ts";
import { readPlainUpdate } from "../../src/bgp/wire/plain-update.ts";
import type { Asn } from "../../src/lib/asn.ts";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import type { Prefix } from "../../src/lib/prefix.ts";
import type { Load } from "./load.ts";

const asn = 64512 as Asn;
const families = [4] as const;
/** As a socket gives them. */
const chunkBytes = 64 * 1024;
const decodeContext = { fourOctetAs: true, external: false, families };

/** A speaker without sockets: bytes in, bytes out, and how long it would hold the event loop. */
export class Harness {
  readonly #speaker = new Speaker({ now: () => performance.now() });
  readonly #splitters = new Map<string, FrameSplitter>();
  readonly #received = new Map<string, number>();
  #flushAsked = false;
  #sends = 0;
  #longestMs = 0;

  constructor(peerCount: number) {
    const peers = Array.from({ length: peerCount }, (_, number) => ({
      type: "Static" as const,
      config: peerConfig(number),
      policy: { nextHopMode: "Auto", allowedLocalAs: 0, exportScope: "all" } as const,
    }));
    this.#handle({ kind: "nextHops", nextHops: everythingConnected() });
    this.#handle({ kind: "configured", config: { ...config, peers } });
    for (const { config: peer } of peers) this.up(peer.name);
    this.drain();
    this.reset();
  }

  up(name: string): void {
    const number = Number(name.slice(1));
    this.#splitters.set(name, new FrameSplitter());
    this.#peerEvent({
      kind: "established",
      name,
      negotiated: {
        holdSeconds: 90,
        keepaliveSeconds: 30,
        families,
        fourOctetAs: true,
        routeRefresh: true,
        peerRouterId: 0xac100000 + number + 1,
        peerAs: asn,
        localAddress: "172.31.0.1" as IpAddr,
        peerAddress: addressOf(number),
      },
    });
  }

  down(name: string): void {
    this.#peerEvent({ kind: "down", name, reason: "bench", graceful: false });
  }

  refresh(name: string): void {
    this.#peerEvent({ kind: "refreshRequested", name, family: 4 });
  }

  /** What a peer's socket gave: one turn of the event loop a chunk, then what was put off to it. */
  async receive(name: string, { bytes }: Load): Promise<void> {
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      this.receiveOnly(name, bytes.subarray(at, at + chunkBytes));
      this.flushOnce();
      await turn();
    }
  }

  /** Without what is put off to the end of the turn. */
  receiveOnly(name: string, bytes: Uint8Array): void {
    const started = cpuMs();
    this.#splitters.get(name)?.push(bytes, (frame) => {
      const update = readPlainUpdate(frame, decodeContext) ?? decodedUpdate(frame);
      this.#handle({ kind: "peer", event: { kind: "update", name, update } });
    });
    this.#longestMs = Math.max(this.#longestMs, cpuMs() - started);
  }

  flushOnce(): void {
    if (!this.#flushAsked) return;
    this.#flushAsked = false;
    const started = cpuMs();
    this.#handle({ kind: "flush" });
    this.#longestMs = Math.max(this.#longestMs, cpuMs() - started);
  }

  drain(): void {
    while (this.#flushAsked) this.flushOnce();
  }

  reset(): void {
    this.#received.clear();
    this.#sends = 0;
    this.#longestMs = 0;
  }

  /** Bytes that the peers were sent since `reset`, sends, and the longest time without a turn. */
  get result(): { readonly megabytes: number; readonly sends: number; readonly longestMs: number } {
    const bytes = [...this.#received.values()].reduce((sum, each) => sum + each, 0);
    return { megabytes: bytes / 1e6, sends: this.#sends, longestMs: this.#longestMs };
  }

  #peerEvent(event: PeerEvent): void {
    const started = cpuMs();
    this.#handle({ kind: "peer", event });
    this.#longestMs = Math.max(this.#longestMs, cpuMs() - started);
  }

  #handle(event: SpeakerEvent): void {
    for (const effect of this.#speaker.handle(event)) {
      if (effect.kind === "flushSoon") this.#flushAsked = true;
      if (effect.kind !== "send") continue;
      this.#sends++;
      const before = this.#received.get(effect.name) ?? 0;
      this.#received.set(effect.name, before + effect.bytes.length);
    }
  }
}

function decodedUpdate(frame: Frame): UpdateMessage {
  const decoded = decodeMessage(frame, decodeContext);
  if (!decoded.ok || decoded.message.kind !== "update") throw new Error("No UPDATE");
  return decoded.message;
}

/** Time of the processor: others on the machine do not count. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Name of the peer with this number, from 0. */
export function peerName(number: number): string {
  return `p${number}`;
}

function addressOf(number: number): IpAddr {
  const id = number + 1;
  return `172.16.${id >>> 8}.${id & 0xff}` as IpAddr;
}

function peerConfig(number: number): PeerConfig {
  return {
    name: peerName(number),
    address: addressOf(number),
    port: 179,
    remoteAs: asn,
    localAs: asn,
    localRouterId: 1,
    passive: true,
    holdSeconds: 90,
    connectRetrySeconds: 5,
    families,
    gracefulRestartSeconds: 120,
    reflectorClient: { clusterId: 1 },
  };
}

const config: Omit<SpeakerConfig, "peers"> = {
  nodeName: "bench",
  asn,
  routerId: 1,
  clusterId: 1,
  listenPort: 0,
  listenAddresses: [],
  blocked: [],
  originated: [],
  confirmedBlocks: [],
  pools: [
    { prefix: "0.0.0.0/0" as Prefix, class: "none", disabled: false, exportDisabled: false },
  ] as unknown as SpeakerConfig["pools"],
  serviceRanges: [],
  reflectedServices: [],
  advertisements: {},
  normalPriority: { 4: 1024, 6: 1024 },
  programs: [],
  install: false,
  problems: [],
};

function everythingConnected(): NextHops {
  const route = {
    table: 254,
    destination: "0.0.0.0/0" as Prefix,
    priority: 0,
    kind: "unicast" as const,
    scope: "link" as const,
    protocol: 2,
    ifindex: 2,
  };
  return new NextHops({ routes: [route], ownAddresses: ["172.31.0.1" as IpAddr] });
}
