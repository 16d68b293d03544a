import { isDeepStrictEqual } from "node:util";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { BfdConfig } from "../peer/peer.ts";
import { type BfdSessionConfig, sessionKey } from "./bfd.ts";
import { type BfdPacket, decodePacket } from "./packet.ts";
import { type BfdPath, RunningSession, type RunningSessionDeps } from "./running-session.ts";
import type { BfdTimers } from "./session.ts";

/** How a datagram came. */
export interface BfdArrival {
  readonly local: IpAddr;
  readonly peer: IpAddr;
  readonly zone?: string;
  /** To the port of multihop sessions, where any TTL is accepted. */
  readonly multihop: boolean;
}

export interface BfdEngineDeps extends Omit<RunningSessionDeps, "onEnded"> {
  /** A random number from 1 to 2^32 - 1. */
  readonly newDiscriminator: () => number;
  readonly open: (config: BfdSessionConfig) => BfdPath;
}

/** All sessions: knows whose a packet is (RFC 5880 section 6.8.6), and starts and ends sessions. */
export class BfdEngine {
  readonly #deps: BfdEngineDeps;
  /** Those that end are still in, until the peer must have heard of it. */
  readonly #sessions = new Map<string, RunningSession>();
  readonly #byDiscriminator = new Map<number, RunningSession>();
  #wanted: ReadonlyMap<string, BfdSessionConfig> = new Map();

  constructor(deps: BfdEngineDeps) {
    this.#deps = deps;
  }

  configure(configs: readonly BfdSessionConfig[]): void {
    const before = this.#wanted;
    this.#wanted = new Map(
      configs.map((config) => [sessionKey(config, config.bfd.multihop), config]),
    );
    for (const [key, session] of this.#sessions) {
      if (!this.#wanted.has(key)) session.disable();
    }
    for (const [key, config] of this.#wanted) {
      const session = this.#sessions.get(key);
      if (session === undefined) this.#start(key, config);
      else if (!isDeepStrictEqual(config, before.get(key))) session.enable(timersOf(config.bfd));
    }
  }

  /** Takes a datagram. Gives why it was discarded. */
  receive(bytes: Uint8Array, arrival: BfdArrival): string | undefined {
    const decoded = decodePacket(bytes);
    if (!decoded.ok) return decoded.reason;
    const session = this.#sessionOf(decoded.packet, arrival);
    if (typeof session === "string") return session;
    session.receive(decoded.packet);
    return undefined;
  }

  /** Tells all peers that the end is on purpose, and ends. */
  close(): void {
    for (const session of this.#sessions.values()) session.close();
    this.#sessions.clear();
    this.#byDiscriminator.clear();
  }

  /**
   * Once the peer knows our discriminator, that alone decides (RFC 5880 section 6.3); but what came
   * without a check of its TTL never reaches a session that asks for it (RFC 5881 section 5).
   */
  #sessionOf(packet: BfdPacket, arrival: BfdArrival): RunningSession | string {
    const { yourDiscriminator } = packet;
    if (yourDiscriminator === 0) {
      return (
        this.#sessions.get(sessionKey(arrival, arrival.multihop)) ?? "No session has its addresses"
      );
    }
    const session = this.#byDiscriminator.get(yourDiscriminator);
    if (session === undefined) return `No session has the discriminator ${yourDiscriminator}`;
    if (session.config.bfd.multihop !== arrival.multihop) return "It came to the other kind's port";
    return session;
  }

  #start(key: string, config: BfdSessionConfig): void {
    const { newDiscriminator, open, ...deps } = this.#deps;
    let discriminator = newDiscriminator();
    while (this.#byDiscriminator.has(discriminator)) discriminator = newDiscriminator();
    const session = new RunningSession(
      { key, config, discriminator, timers: timersOf(config.bfd), path: open(config) },
      {
        ...deps,
        onEnded: () => {
          this.#sessions.delete(key);
          this.#byDiscriminator.delete(discriminator);
        },
      },
    );
    this.#sessions.set(key, session);
    this.#byDiscriminator.set(discriminator, session);
    session.start();
  }
}

function timersOf({ minTransmitMs, minReceiveMs, multiplier }: BfdConfig): BfdTimers {
  return { minTxUs: minTransmitMs * 1000, minRxUs: minReceiveMs * 1000, multiplier };
}
