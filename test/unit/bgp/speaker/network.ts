import assert from "node:assert/strict";
import type { BgpResources } from "../../../../src/bgp/config/bgp-resources.ts";
import { speakerConfig } from "../../../../src/bgp/config/speaker-config.ts";
import type { PeerConfig, PeerEvent } from "../../../../src/bgp/peer/peer.ts";
import { NextHops } from "../../../../src/bgp/rib/next-hop.ts";
import type {
  SpeakerEffect,
  SpeakerEvent,
  SpeakerTimer,
} from "../../../../src/bgp/speaker/events.ts";
import type { LimitReport } from "../../../../src/bgp/speaker/prefix-limits.ts";
import { Speaker } from "../../../../src/bgp/speaker/speaker.ts";
import { explainPrefix } from "../../../../src/bgp/speaker/status.ts";
import type { DecodeContext } from "../../../../src/bgp/wire/attribute-rows.ts";
import { decodeMessage } from "../../../../src/bgp/wire/decode.ts";
import { FrameSplitter } from "../../../../src/bgp/wire/frame.ts";
import type { RouteRefreshMessage, UpdateMessage } from "../../../../src/bgp/wire/message.ts";
import type { KernelRoute } from "../../../../src/kernel/kernel.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { type Prefix, parsePrefix } from "../../../../src/lib/prefix.ts";

/** One speaker core with what it has asked of the world. */
export class Host {
  readonly speaker: Speaker = new Speaker();
  readonly address: IpAddr;
  peers: readonly PeerConfig[] = [];
  readonly routes: Map<Prefix, KernelRoute> = new Map();
  readonly timers: Map<string, number> = new Map();
  /** Bytes of each send, to compare buffers by identity. */
  readonly sent: { readonly name: string; readonly bytes: Uint8Array }[] = [];
  converged = false;
  /** Peers that are kept down, and the sessions that were ended. */
  readonly down: Map<string, string> = new Map();
  readonly resets: string[] = [];
  readonly limits: LimitReport[] = [];
  readonly #network: Network;
  readonly #dynamic: PeerConfig[] = [];

  constructor(network: Network, address: IpAddr) {
    this.#network = network;
    this.address = address;
  }

  post(event: SpeakerEvent): void {
    for (const effect of this.speaker.handle(event)) this.#perform(effect);
  }

  /** Somebody comes from a prefix. */
  come(config: PeerConfig, prefix: Prefix): void {
    this.#dynamic.push(config);
    this.peers = [...this.peers, config];
    this.post({ kind: "peer", event: { kind: "dynamicAdded", config, prefix } });
  }

  /** The session of a configured peer is there, whoever is at the other end. */
  establish(name: string): void {
    const peer = this.peers.find((each) => each.name === name);
    assert.ok(peer !== undefined, name);
    const negotiated = {
      holdSeconds: 90,
      keepaliveSeconds: 30,
      families: [4] as const,
      fourOctetAs: true,
      routeRefresh: true,
      peerRouterId: 1,
      peerAs: peer.remoteAs,
      localAddress: this.address,
      peerAddress: peer.address,
    };
    this.post({ kind: "peer", event: { kind: "established", name, negotiated } });
  }

  /** "via GATEWAY", "blackhole", or undefined. */
  routeTo(prefix: string): string | undefined {
    const route = this.routes.get(parsePrefix(prefix));
    if (route === undefined) return undefined;
    if (route.kind !== "unicast") return route.kind;
    const hops = route.nextHops ?? [route];
    return `via ${hops.map(({ gateway }) => gateway).join(", ")}`;
  }

  /** Verdict of each path, by session. */
  verdicts(prefix: string): Record<string, string> {
    const answer = explainPrefix(this.speaker, parsePrefix(prefix));
    return Object.fromEntries((answer?.paths ?? []).map((path) => [path.peer, path.verdict]));
  }

  #perform(effect: SpeakerEffect): void {
    switch (effect.kind) {
      case "configurePeers":
        this.peers = [...effect.peers, ...this.#dynamic];
        this.#network.soon(() => this.#network.endUnconfigured(this));
        break;
      case "send":
        this.sent.push(effect);
        this.#network.deliver(this, effect.name, effect.bytes);
        break;
      case "setRoutes":
        for (const [prefix, route] of effect.routes) {
          if (route === undefined || route === "handedOver") this.routes.delete(prefix);
          else this.routes.set(prefix, route);
        }
        break;
      case "converged":
        this.converged = true;
        break;
      case "resetPeer":
        this.resets.push(`${effect.name} ${effect.subcode}`);
        this.#network.soon(() => this.#network.reset(this, effect.name, effect.subcode));
        break;
      case "keepDown":
        if (effect.message === undefined) this.down.delete(effect.name);
        else this.down.set(effect.name, effect.message);
        break;
      case "prefixLimit":
        this.limits.push(effect.report);
        break;
      case "startTimer":
        this.timers.set(effect.timer, effect.seconds);
        break;
      case "stopTimer":
        this.timers.delete(effect.timer);
        break;
      case "flushSoon":
        this.#network.soon(() => this.post({ kind: "flush" }));
    }
  }
}

/** Of the subcodes of Cease that a speaker sends the one that keeps routes. */
const otherConfigurationChange = 6;

interface LinkOptions {
  /** Both sides speak graceful restart. */
  readonly graceful?: boolean;
  readonly forwardingKept?: boolean;
  /** What each side says of a restart of its own; absent: nothing. */
  readonly restarting?: readonly string[];
  /** Both sides do long-lived graceful restart, for so long. */
  readonly longLivedSeconds?: number;
  /** Restart Time of both. Absent: 120. */
  readonly restartSeconds?: number;
  /** Hosts that are joined. Absent: all. */
  readonly only?: readonly string[];
}

/** Speaker cores joined by sessions that carry real messages. Nothing happens but in `settle`. */
export class Network {
  readonly hosts: Map<string, Host> = new Map();
  readonly #sessions = new Map<string, string>();
  readonly #pending: (() => void)[] = [];

  add(name: string, address: string): Host {
    const host = new Host(this, address as IpAddr);
    host.post({ kind: "nextHops", nextHops: connected(host.address, "192.168.0.0/16") });
    this.hosts.set(name, host);
    return host;
  }

  /** Gives each host that is a node its configuration. */
  configure(resources: BgpResources): void {
    for (const [name, host] of this.hosts) {
      const config = speakerConfig(resources, name);
      if (config !== undefined) host.post({ kind: "configured", config });
    }
  }

  /** Establishes every session that both ends have configured; messages travel too. */
  connect(options: LinkOptions = {}): void {
    this.establish(options);
    this.settle();
  }

  /** Establishes sessions; their first messages are under way until `settle`. */
  establish(options: LinkOptions = {}): void {
    for (const host of this.hosts.values()) this.endUnconfigured(host);
    const names = options.only ?? [...this.hosts.keys()];
    for (const [i, one] of names.entries()) {
      for (const two of names.slice(i + 1)) this.#establish(one, two, options);
    }
  }

  /** Ends the session of a host with one of its peers, at both ends; both said the N bit (RFC 8538). */
  reset(host: Host, name: string, subcode: number): void {
    const [one = ""] = [...this.hosts].find(([, each]) => each === host) ?? [];
    const two = this.#sessions.get(`${one} ${name}`);
    if (two !== undefined) this.#end(one, two, subcode === otherConfigurationChange);
  }

  cut(one: string, two: string, graceful: boolean): void {
    this.#end(one, two, graceful);
    this.settle();
  }

  /** Ends the sessions that a host has no peer for any more; the other ends keep the routes. */
  endUnconfigured(host: Host): void {
    for (const [key, two] of [...this.#sessions]) {
      const [one = "", name] = key.split(" ");
      if (this.hosts.get(one) !== host || host.peers.some((peer) => peer.name === name)) continue;
      this.#end(one, two, true);
    }
  }

  #end(one: string, two: string, graceful: boolean): void {
    for (const [key, to] of [...this.#sessions]) {
      const [from = "", name = ""] = key.split(" ");
      if (!(from === one && to === two) && !(from === two && to === one)) continue;
      this.#sessions.delete(key);
      const event = { kind: "down" as const, name, reason: "cut", graceful };
      this.host(from).post({ kind: "peer", event });
    }
  }

  /** Another process in the place of a host, after one that was killed. */
  restart(name: string, resources: BgpResources): Host {
    const before = this.host(name);
    for (const other of this.hosts.keys()) if (other !== name) this.#end(name, other, true);
    this.settle();
    const host = this.add(name, before.address);
    host.post({ kind: "restarted" });
    const config = speakerConfig(resources, name);
    assert.ok(config !== undefined, name);
    host.post({ kind: "configured", config });
    return host;
  }

  /** A timer of a host expires; it runs. */
  expire(name: string, timer: string): void {
    const host = this.host(name);
    assert.ok(host.timers.delete(timer), `${timer} runs at ${name}`);
    host.post({ kind: "timerExpired", timer: timer as SpeakerTimer });
    this.settle();
  }

  /** Name of the session of a host with another. */
  sessionName(at: string, to: string): string {
    return this.#nameOf(at, to) ?? assert.fail(`${at} has no peer ${to}`);
  }

  settle(): void {
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) next();
  }

  soon(action: () => void): void {
    this.#pending.push(action);
  }

  host(name: string): Host {
    const host = this.hosts.get(name);
    assert.ok(host !== undefined, name);
    return host;
  }

  deliver(from: Host, name: string, bytes: Uint8Array): void {
    const [sender = ""] = [...this.hosts].find(([, host]) => host === from) ?? [];
    const receiver = this.#sessions.get(`${sender} ${name}`);
    if (receiver === undefined) return;
    const back = this.#nameOf(receiver, sender) ?? "";
    const config = this.host(receiver).peers.find((peer) => peer.name === back);
    const context = {
      fourOctetAs: true,
      external: config?.localAs !== config?.remoteAs,
      families: [4, 6] as const,
    };
    for (const message of messagesIn(bytes, context)) {
      this.soon(() => {
        this.host(receiver).post({ kind: "peer", event: eventOf(back, message) });
      });
    }
  }

  #establish(one: string, two: string, options: LinkOptions): void {
    const [there, back] = [this.#nameOf(one, two), this.#nameOf(two, one)];
    if (there === undefined || back === undefined || this.#sessions.has(`${one} ${there}`)) return;
    if (this.host(one).down.has(there) || this.host(two).down.has(back)) return;
    this.#sessions.set(`${one} ${there}`, two);
    this.#sessions.set(`${two} ${back}`, one);
    this.#up(one, two, options);
    this.#up(two, one, options);
  }

  #up(at: string, to: string, options: LinkOptions): void {
    const { graceful = true, forwardingKept = true, longLivedSeconds = 0 } = options;
    const [name, back] = [this.#nameOf(at, to), this.#nameOf(to, at)];
    const peer = this.host(to).peers.find((each) => each.name === back);
    assert.ok(name !== undefined && peer !== undefined);
    const families = [4] as const;
    this.host(at).post({
      kind: "peer",
      event: {
        kind: "established",
        name,
        negotiated: {
          holdSeconds: 90,
          keepaliveSeconds: 30,
          families,
          fourOctetAs: true,
          routeRefresh: true,
          peerRouterId: peer.localRouterId,
          peerAs: peer.localAs,
          localAddress: this.host(at).address,
          peerAddress: this.host(to).address,
          ...(graceful && {
            gracefulRestart: {
              restarting: options.restarting?.includes(to) === true,
              restartSeconds: options.restartSeconds ?? 120,
              forwardingKept: forwardingKept ? families : [],
              families,
            },
          }),
          ...(longLivedSeconds > 0 && {
            longLivedGracefulRestart: [
              { family: 4 as const, forwarding: forwardingKept, staleSeconds: longLivedSeconds },
            ],
          }),
        },
      },
    });
  }

  #nameOf(at: string, to: string): string | undefined {
    const { address } = this.host(to);
    return this.host(at).peers.find((peer) => peer.address === address)?.name;
  }
}

export function connected(own: IpAddr, network: string): NextHops {
  const route: KernelRoute = {
    table: 254,
    destination: parsePrefix(network),
    priority: 0,
    kind: "unicast",
    scope: "link",
    protocol: 2,
    ifindex: 2,
  };
  return new NextHops({ routes: [route], ownAddresses: [own] });
}

function eventOf(name: string, message: UpdateMessage | RouteRefreshMessage): PeerEvent {
  if (message.kind === "update") return { kind: "update", name, update: message };
  const family = message.afi === 1 ? 4 : 6;
  if (message.subtype === 0) return { kind: "refreshRequested", name, family };
  return { kind: "refreshMarker", name, family, marker: message.subtype === 1 ? "begin" : "end" };
}

/** The messages of a speaker. */
export function messagesIn(
  bytes: Uint8Array,
  context: DecodeContext,
): (UpdateMessage | RouteRefreshMessage)[] {
  const messages: (UpdateMessage | RouteRefreshMessage)[] = [];
  const failure = new FrameSplitter().push(bytes, (frame) => {
    const decoded = decodeMessage(frame, context);
    assert.ok(decoded.ok, "the messages are well-formed");
    const { message } = decoded;
    assert.ok(message.kind === "update" || message.kind === "routeRefresh", message.kind);
    messages.push(message);
  });
  assert.equal(failure, undefined);
  return messages;
}
