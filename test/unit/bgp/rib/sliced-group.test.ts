import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { AttributeStore } from "../../../../src/bgp/rib/attribute-store.ts";
import { packPrefixes, unpackPrefix } from "../../../../src/bgp/rib/packed-prefix.ts";
import { PrefixTable } from "../../../../src/bgp/rib/prefix-table.ts";
import { type PeerBytes, UpdateGroup } from "../../../../src/bgp/rib/update-group.ts";
import { decodeMessage } from "../../../../src/bgp/wire/decode.ts";
import { FrameSplitter } from "../../../../src/bgp/wire/frame.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";

const context = { fourOctetAs: true, external: false, families: [4, 6] as const };
const prefixCount = 12;
const peerCount = 4;

type Step =
  | { readonly op: "set"; readonly prefix: number; readonly med: number; readonly source: number }
  | { readonly op: "remove"; readonly prefix: number }
  | { readonly op: "join" | "leave" | "block" | "drain" | "refresh"; readonly peer: number }
  /** `asks`: how often a slice may be asked before it is over. */
  | { readonly op: "flush"; readonly asks: number };

const prefix = fc.integer({ min: 0, max: prefixCount - 1 });
const peer = fc.integer({ min: 1, max: peerCount });
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      op: fc.constant("set" as const),
      prefix,
      med: fc.integer({ min: 0, max: 3 }),
      source: fc.integer({ min: 0, max: peerCount }),
    }),
    fc.record({ op: fc.constant("remove" as const), prefix }),
    fc.record({ op: fc.constantFrom("join", "leave", "block", "drain", "refresh"), peer }),
    fc.record({ op: fc.constant("flush" as const), asks: fc.integer({ min: 0, max: 4 }) }),
  ),
  { maxLength: 80, size: "max" },
);

/** A group whose slices are over after some questions, and what its peers have by their messages. */
class Sliced {
  readonly #table = new PrefixTable(4);
  readonly #attributes = new AttributeStore();
  readonly #group: UpdateGroup;
  /** By peer: prefix to MED. */
  readonly #tables = new Map<number, Map<string, number>>();
  /** What is announced: MED and source, by prefix. */
  readonly #model = new Map<string, { readonly med: number; readonly source: number }>();

  constructor(limits: { readonly listStep: number; readonly backlogBytes: number }) {
    const ribs = { table: this.#table, attributes: this.#attributes };
    this.#group = new UpdateGroup({ fourOctetAs: true }, { ...ribs, ...limits });
  }

  take(step: Step): void {
    if (step.op === "set") this.#set(step.prefix, step);
    else if (step.op === "remove") this.#set(step.prefix, undefined);
    else if (step.op === "flush") this.#flush(step.asks);
    else if (step.op === "join") this.#join(step.peer);
    else if (this.#tables.has(step.peer)) this.#disturb(step.op, step.peer);
  }

  end(): void {
    for (const member of this.#tables.keys()) this.#group.drained(member);
    this.#flush(1);
    // Whoever goes on without an end is a defect.
    for (let i = 0; i < 1000 && this.#group.hasWork; i++) this.#flush(1);
    assert.equal(this.#group.hasWork, false);
    for (const [member, table] of this.#tables) {
      const told = [...this.#model].filter(([, { source }]) => source !== member);
      assert.deepEqual(table, new Map(told.map(([each, { med }]) => [each, med])));
    }
  }

  #set(number: number, route: { readonly med: number; readonly source: number } | undefined) {
    const text = parsePrefix(`10.0.${number}.0/24`);
    const id = this.#table.add(packPrefixes([text], 4), 0);
    if (route === undefined) {
      this.#model.delete(text);
      this.#group.update(id, 0, 0);
      return;
    }
    const { med, source } = route;
    const attributes = { origin: 0 as const, asPath: [], localPref: 100, med };
    this.#model.set(text, { med, source });
    this.#group.update(id, this.#attributes.intern(attributes, parseIpAddr("10.0.0.1")), source);
  }

  #flush(asks: number): void {
    let left = asks;
    const slice = {
      get isOver() {
        return left-- <= 0;
      },
    };
    for (const sent of this.#group.flush(slice)) this.#hear(sent);
  }

  #join(member: number): void {
    if (this.#tables.has(member)) return;
    this.#tables.set(member, new Map());
    this.#group.join(member, `${member}`);
  }

  #disturb(op: "leave" | "block" | "drain" | "refresh", member: number): void {
    if (op === "block") this.#group.block(member);
    else if (op === "drain") this.#group.drained(member);
    else if (op === "refresh") this.#group.tellAgain(member);
    else {
      this.#group.leave(member);
      this.#tables.delete(member);
    }
  }

  #hear({ name, bytes }: PeerBytes): void {
    const table = this.#tables.get(Number(name));
    assert.ok(table !== undefined, "only members are sent something");
    new FrameSplitter().push(bytes, (frame) => {
      const decoded = decodeMessage(frame, context);
      assert.ok(decoded.ok && decoded.message.kind === "update");
      const { withdrawn, announced, attributes } = decoded.message;
      for (const each of withdrawn) {
        for (let i = 0; i < each.count; i++) table.delete(unpackPrefix(each, i));
      }
      for (const { prefixes } of announced) {
        for (let i = 0; i < prefixes.count; i++) {
          table.set(unpackPrefix(prefixes, i), attributes?.med ?? -1);
        }
      }
    });
  }
}

test("Tables that are listed in slices, among updates, refreshes and full queues, end as they are", () => {
  fc.assert(
    fc.property(
      steps,
      fc.constantFrom(1, 3, 100),
      fc.constantFrom(150, 1_000_000),
      (list, listStep, backlogBytes) => {
        const group = new Sliced({ listStep, backlogBytes });
        for (const step of list) group.take(step);
        group.end();
      },
    ),
    { numRuns: 300 },
  );
});
