import type { IpFamily } from "../../lib/ip-addr.ts";
import type { SpeakerPeer } from "../config/session.ts";
import type { MaxPrefixes } from "../policy/peer-policy.ts";

/** A peer that tells more than its policy likes. */
export interface LimitReport {
  readonly name: string;
  readonly family: IpFamily;
  readonly count: number;
  readonly limit: number;
  readonly exceeded: boolean;
}

/**
 * How many prefixes each peer has told, before any filter, against its limits. Each level is reported
 * once, and again when the count has been below it.
 */
export class PrefixLimits {
  /** Session name and family to the last level. */
  readonly #levels = new Map<string, Level>();

  /** What is to be told now that the peer has told `count` prefixes. */
  check({ config, policy }: SpeakerPeer, family: IpFamily, count: number): LimitReport | undefined {
    const limits = policy.maxPrefixes?.[family];
    if (limits === undefined) return undefined;
    const key = `${config.name} ${family}`;
    const before = this.#levels.get(key) ?? "fine";
    const level = levelOf(limits, count);
    this.#levels.set(key, level);
    if (level === "fine" || levels.indexOf(level) <= levels.indexOf(before)) return undefined;
    const exceeded = level === "exceeded";
    return { name: config.name, family, count, limit: limits.limit, exceeded };
  }

  forget(name: string): void {
    for (const family of [4, 6]) this.#levels.delete(`${name} ${family}`);
  }
}

const levels = ["fine", "near", "exceeded"] as const;
type Level = (typeof levels)[number];

function levelOf({ limit, warnPercent }: MaxPrefixes, count: number): Level {
  if (count > limit) return "exceeded";
  return count * 100 >= limit * warnPercent ? "near" : "fine";
}
