import type { Match, Rule, Side } from "../../kernel/iptables/model.ts";
import type { Prefix } from "../../lib/prefix.ts";
import type { PortRange, ProtocolMatch } from "../calc/updates.ts";
import type { MarkBits } from "./mark-bits.ts";
import { clearMark, ipPortSet, markClear, net, ports, protocol, setMark } from "./match.ts";

/**
 * The "or"s of one of our rules, which one iptables rule cannot say, as blocks of rules before it
 * (facts 4.6). scratch0 says that all blocks so far match, scratch1 is for the block at hand.
 *
 * The first positive block writes scratch0 at once; so negated blocks, which clear scratch0 only,
 * must come last.
 */
export class MatchBlocks {
  readonly rules: Rule[] = [];
  readonly #marks: MarkBits;
  #positiveBlocks = 0;

  constructor(marks: MarkBits) {
    this.#marks = marks;
  }

  /** One of the port lists, or one of the address and port sets, must match. */
  anyPort(side: Side, { splits, sets, protocol: name }: PortBlock): void {
    const needed = name === undefined ? [] : [protocol(name)];
    this.#positive([
      ...splits.map((split) => [...needed, ports(side, split)]),
      ...sets.map((set) => [ipPortSet(side, set)]),
    ]);
  }

  /** One of the nets must match. */
  anyNet(side: Side, nets: readonly Prefix[]): void {
    this.#positive(nets.map((prefix) => [net(side, prefix)]));
  }

  /** None of the nets may match. */
  noNet(side: Side, nets: readonly Prefix[]): void {
    this.#begin(true);
    const action = clearMark(this.#marks.scratch0);
    for (const prefix of nets) this.rules.push({ match: [net(side, prefix)], action });
  }

  #positive(alternatives: readonly (readonly Match[])[]): void {
    this.#begin(false);
    const { scratch0, scratch1 } = this.#marks;
    const first = this.#positiveBlocks === 0;
    // What the block before has found is not found by this one: Calico forgets that, and lets in too much.
    if (this.#positiveBlocks > 1) this.rules.push({ match: [], action: clearMark(scratch1) });
    this.#positiveBlocks++;
    const action = setMark(first ? scratch0 : scratch1);
    for (const match of alternatives) this.rules.push({ match, action });
    if (!first) this.rules.push({ match: [markClear(scratch1)], action: clearMark(scratch0) });
  }

  #begin(matches: boolean): void {
    if (this.rules.length > 0) return;
    const { scratch0, scratch1 } = this.#marks;
    const value = matches ? scratch0 : 0;
    const mask = (scratch0 | scratch1) >>> 0;
    this.rules.push({ match: [], action: { kind: "setMark", value, mask } });
  }
}

export interface PortBlock {
  readonly splits: readonly (readonly PortRange[])[];
  /** Kernel names. */
  readonly sets: readonly string[];
  readonly protocol?: ProtocolMatch | undefined;
}

/** Slots of one multiport match. */
const portSlots = 15;

/** Splits ports into lists of at most 15 slots: a port takes one, a range two. */
export function splitPorts(ranges: readonly PortRange[]): PortRange[][] {
  const splits: PortRange[][] = [];
  let free = 0;
  for (const range of ranges) {
    const slots = range.first === range.last ? 1 : 2;
    if (free < slots) {
      splits.push([]);
      free = portSlots;
    }
    splits.at(-1)?.push(range);
    free -= slots;
  }
  return splits;
}
