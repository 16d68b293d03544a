import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { messagesIn, Network } from "./network.ts";
import { plainSpeaker } from "./plain.ts";

const [one, two] = ["192.168.1.1", "192.168.1.2"];
const name = "Static_192_168_1_2";
const blocks = ["10.1.0.0/24", "10.2.0.0/24"].map(parsePrefix);

function pair(): Network {
  const network = new Network();
  for (const [host, own, other, originated] of [
    ["one", one, two, []],
    ["two", two, one, blocks],
  ] as const) {
    const config = plainSpeaker({ address: own, asn: 65001 }, [{ address: other, asn: 65001 }], {
      originated,
    });
    network.add(host, own).post({ kind: "configured", config });
  }
  network.connect();
  return network;
}

test("What is not told between the markers of a refresh is gone", () => {
  const network = pair();
  const [atOne, atTwo] = [network.host("one"), network.host("two")];
  const mark = (marker: "begin" | "end") => {
    const event = { kind: "refreshMarker", name, family: 4, marker } as const;
    atOne.post({ kind: "peer", event });
  };
  mark("begin");
  assert.equal(atOne.routeTo("10.1.0.0/24"), `via ${two}`);
  assert.equal(atOne.timers.get(`stale ${name}`), 120);
  const event = { kind: "refreshRequested", name: "Static_192_168_1_1", family: 4 } as const;
  atTwo.post({ kind: "peer", event });
  network.settle();
  mark("end");
  network.settle();
  assert.equal(atOne.routes.size, 2);
  assert.equal(atOne.timers.has(`stale ${name}`), false);
  mark("begin");
  mark("end");
  network.settle();
  assert.equal(atOne.routes.size, 0);
});

test("A peer that knows the markers gets the table between them, another one without", () => {
  const network = pair();
  const atTwo = network.host("two");
  const asked = () => {
    atTwo.sent.length = 0;
    const event = { kind: "refreshRequested", name: "Static_192_168_1_1", family: 4 } as const;
    atTwo.post({ kind: "peer", event });
    network.settle();
    return atTwo.sent.flatMap(({ bytes }) => kindsOf(bytes));
  };
  assert.deepEqual(asked(), ["update"]);
  const state = atTwo.speaker.peers.get("Static_192_168_1_1");
  assert.ok(state?.negotiated !== undefined);
  const negotiated = { ...state.negotiated, enhancedRouteRefresh: true };
  atTwo.speaker.peers.set({ ...state, negotiated });
  assert.deepEqual(asked(), ["routeRefresh 1", "update", "routeRefresh 2"]);
});

function kindsOf(bytes: Uint8Array): string[] {
  const context = { fourOctetAs: true, external: false, families: [4] } as const;
  return messagesIn(bytes, context).map((message) =>
    message.kind === "routeRefresh" ? `routeRefresh ${message.subtype}` : message.kind,
  );
}
