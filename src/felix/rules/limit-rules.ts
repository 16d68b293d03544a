import type { Rule } from "../../kernel/iptables/model.ts";
import type { DirectionLimits } from "../calc/updates.ts";
import { clearMark, markUnset, setMark } from "./match.ts";
import type { Direction } from "./names.ts";
import type { RulesConfig } from "./rules-config.ts";

/** Rules of an endpoint's limits, in Calico's order and words (facts 4.6, steps 1 and 3). */

/** A rule marks what is within the limit; what it leaves without the mark is dropped. */
export function packetRateRules(
  { packets }: DirectionLimits,
  direction: Direction,
  { marks: { scratch0: within } }: RulesConfig,
): Rule[] {
  if (packets === undefined) return [];
  const { rate, burst } = packets;
  const limit = `${direction} packet rate limit`;
  const clear: Rule = { match: [], action: clearMark(within), comments: [`Clear ${limit} mark`] };
  return [
    clear,
    {
      match: [{ kind: "limit", rate: `${rate}/sec`, burst }],
      action: setMark(within),
      comments: [`Mark packets within ${limit}`],
    },
    {
      match: [markUnset(within)],
      action: { kind: "drop" },
      comments: [`Drop packets over ${limit}`],
    },
    clear,
  ];
}

/** Of TCP: those that are there go on. */
export function connectionLimitRules(
  { maxConnections }: DirectionLimits,
  direction: Direction,
): Rule[] {
  if (maxConnections === undefined) return [];
  return [
    {
      match: [{ kind: "tcpSyn" }, { kind: "connectionsAbove", count: maxConnections }],
      action: { kind: "tcpReset" },
      comments: [`Reject connections over ${direction} connection limit`],
    },
  ];
}
