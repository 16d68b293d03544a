import assert from "node:assert/strict";
import { test } from "node:test";
import type { Asn } from "../../../../src/lib/asn.ts";
import { Core } from "./core.ts";
import { plainSpeaker } from "./plain.ts";

const own = { address: "192.168.1.1", asn: 65001 };
const prefix = "10.1.0.0/24";

/** Two clients that tell, one of them several paths, and one that is told all. */
function reflector(addPathLimit?: number) {
  const policy = addPathLimit === undefined ? {} : { addPathLimit };
  const neighbors = [2, 3, 4, 5].map((last) => ({
    address: `192.168.1.${last}`,
    asn: 65001,
    client: true,
    ...(last === 4 ? { policy } : {}),
  }));
  const config = plainSpeaker(own, neighbors, { clusterId: 1 });
  const core = new Core(config);
  const [one, many, all, best] = config.peers.map((peer) => peer.config);
  assert.ok(one !== undefined && many !== undefined && all !== undefined && best !== undefined);
  core.up(one);
  core.up(many, { addPath: { receive: [4], send: [] } });
  core.up(all, { addPath: { receive: [], send: [4] } });
  core.up(best);
  core.settle();
  const told = () => {
    const table = [...(core.tables.get(all.name) ?? [])];
    return {
      nextHops: table.map(([, text]) => (JSON.parse(text) as [unknown, string])[1]).toSorted(),
      pathIds: new Set(table.map(([key]) => key.split(" ")[1])).size,
    };
  };
  const tell = (name: string, nextHop: string, asns: readonly number[], pathId?: number) => {
    const asPath = [{ kind: "sequence" as const, asns: asns as readonly Asn[] }];
    core.tell(name, {
      prefix,
      attributes: { origin: 0, asPath, localPref: 100 },
      nextHop,
      ...(pathId === undefined ? {} : { pathId }),
    });
  };
  return { core, one, many, best, told, tell };
}

test("A peer with ADD-PATH is told all paths, each under its own identifier", () => {
  const { core, one, many, best, told, tell } = reflector();
  tell(many.name, "192.168.2.1", [1, 2], 1);
  tell(many.name, "192.168.2.2", [1, 2, 3], 2);
  tell(one.name, "192.168.2.3", [1]);
  core.settle();
  assert.deepEqual(told(), { nextHops: ["192.168.2.1", "192.168.2.2", "192.168.2.3"], pathIds: 3 });
  assert.deepEqual([...(core.tables.get(best.name)?.keys() ?? [])], [prefix]);
  core.tell(many.name, { prefix, pathId: 1 });
  core.settle();
  assert.deepEqual(told(), { nextHops: ["192.168.2.2", "192.168.2.3"], pathIds: 2 });
  core.post({
    kind: "peer",
    event: { kind: "down", name: many.name, reason: "test", graceful: false },
  });
  core.settle();
  assert.deepEqual(told(), { nextHops: ["192.168.2.3"], pathIds: 1 });
});

test("A path that is told again under its identifier takes the place of the one before", () => {
  const { core, many, told, tell } = reflector();
  tell(many.name, "192.168.2.1", [1], 7);
  core.settle();
  tell(many.name, "192.168.2.9", [1], 7);
  core.settle();
  assert.deepEqual(told(), { nextHops: ["192.168.2.9"], pathIds: 1 });
});

test("addPathLimit leaves the best paths", () => {
  const { core, one, many, told, tell } = reflector(2);
  tell(many.name, "192.168.2.1", [1, 2, 3], 1);
  tell(many.name, "192.168.2.2", [1, 2], 2);
  tell(one.name, "192.168.2.3", [1]);
  core.settle();
  assert.deepEqual(told().nextHops, ["192.168.2.2", "192.168.2.3"]);
  core.tell(one.name, { prefix });
  core.settle();
  assert.deepEqual(told().nextHops, ["192.168.2.1", "192.168.2.2"]);
});

test("A peer that comes later with ADD-PATH is told all paths", () => {
  const { core, one, many, told, tell } = reflector();
  tell(many.name, "192.168.2.1", [1, 2], 1);
  tell(one.name, "192.168.2.3", [1]);
  core.settle();
  const all = core.speaker.peers.get("Static_192_168_1_4")?.peer.config;
  assert.ok(all !== undefined);
  core.post({
    kind: "peer",
    event: { kind: "down", name: all.name, reason: "test", graceful: false },
  });
  core.up(all, { addPath: { receive: [], send: [4] } });
  core.settle();
  assert.deepEqual(told(), { nextHops: ["192.168.2.1", "192.168.2.3"], pathIds: 2 });
});
