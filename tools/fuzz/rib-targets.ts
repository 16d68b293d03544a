import assert from "node:assert/strict";
import { AttributeStore } from "../../src/bgp/rib/attribute-store.ts";
import { internReceived, type ReceivedFrom } from "../../src/bgp/rib/received-route.ts";
import type { RouteView } from "../../src/bgp/rib/route-view.ts";
import { messageType } from "../../src/bgp/wire/header.ts";
import { decodeUpdate } from "../../src/bgp/wire/update.ts";
import { messageToJson } from "../../test/support/message-json.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { bodiesOf, randomUpdate } from "./parts.ts";

/**
 * The RIB keeps the octets of attributes as they come where it can, and reads them again in ways of its
 * own: what it has must be what the decoder says.
 */
export const ribTargets: readonly FuzzTarget[] = [true, false].flatMap((fourOctetAs) =>
  [false, true].map((external) => {
    const name = `received-route/${fourOctetAs ? "as4" : "as2"}-${external ? "ebgp" : "ibgp"}`;
    return {
      name,
      corpus: bodiesOf(messageType.update),
      maxLength: 4000,
      generate: randomUpdate,
      run: (input) => keep(input, { fourOctetAs, external }),
    };
  }),
);

function keep(input: Uint8Array, from: ReceivedFrom): string {
  // The splitter lets nothing shorter through.
  if (input.length < 4) return "short";
  const decoded = decodeUpdate(input, { ...from, families: [4, 6], extendedNextHop: true });
  if (!decoded.ok) return "refused";
  const update = decoded.message;
  const { attributes } = update;
  const store = new AttributeStore();
  for (const { nextHop } of update.announced) {
    assert.ok(attributes !== undefined);
    const kept = store.get(internReceived(store, update, nextHop, from));
    const written = store.get(store.intern(attributes, nextHop));
    assert.equal(textOf(kept), messageToJson({ attributes: sorted(attributes), nextHop }));
    assert.equal(numbersOf(kept), numbersOf(written));
  }
  return Object.keys(attributes ?? {}).join();
}

function textOf({ attributes, nextHop }: RouteView): string {
  return messageToJson({ attributes: sorted(attributes), nextHop });
}

/** Attributes in any order; what is passed on unknown is marked Partial, sooner or later. */
function sorted({ unknown, ...attributes }: RouteView["attributes"]): unknown {
  const marked = unknown?.map(({ flags, ...rest }) => ({ flags: flags | 0x20, ...rest }));
  marked?.sort((a, b) => a.code - b.code);
  return Object.entries({ ...attributes, unknown: marked }).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** What is read from the octets without decoding them all. */
function numbersOf(view: RouteView): string {
  const { origin, med, localPref, originatorId, clusterListLength } = view;
  const { asPathLength, neighborAs, hasConfederation } = view;
  const route = { origin, med, localPref, originatorId, clusterListLength };
  return JSON.stringify({ ...route, asPathLength, neighborAs, hasConfederation });
}
