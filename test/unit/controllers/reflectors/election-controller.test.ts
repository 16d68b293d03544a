import assert from "node:assert/strict";
import { test } from "node:test";
import {
  electedLabel,
  electedLeaseKey,
  electedPeer,
  electionAnnotation,
  electionSettings,
  isElected,
  meshOffAnnotation,
} from "../../../../src/api/elected-reflectors.ts";
import { calicoApiVersion } from "../../../../src/api/meta.ts";
import { keyOf } from "../../../../src/api/resource-key.ts";
import type { BGPConfiguration } from "../../../../src/api/resources/bgp.ts";
import type { Node, NodeSpec } from "../../../../src/api/resources/node.ts";
import { decodeResource } from "../../../../src/api/validate.ts";
import { electedSessions } from "../../../../src/bgp/reflector/elected-sessions.ts";
import {
  type ElectionState,
  electionController,
} from "../../../../src/controllers/reflectors/election-controller.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { MemoryDatastore } from "../../../support/memory-datastore.ts";

const log = createLogger({ name: "test", level: "silent" });
const address = (number: number) => `10.0.0.${number}`;

function node(number: number, bgp: NodeSpec["bgp"] = {}, labels = {}): Node {
  const spec = { bgp: { ipv4Address: `${address(number)}/24`, ...bgp } };
  return {
    apiVersion: calicoApiVersion,
    kind: "Node",
    metadata: { name: `n${number}`, labels },
    spec,
  };
}

function configuration(text: string, spec: BGPConfiguration["spec"] = {}): BGPConfiguration {
  const metadata = { name: "default", annotations: { [electionAnnotation]: text } };
  return { apiVersion: calicoApiVersion, kind: "BGPConfiguration", metadata, spec };
}

/** A controller at work, and a speaker on each node whose sessions are all Established. */
async function running(datastore: MemoryDatastore, numbers: readonly number[]) {
  const clock = new FakeClock();
  const stop = new AbortController();
  let state: ElectionState | undefined;
  const onState = (next: ElectionState) => {
    state = next;
  };
  const speakers = numbers.map((number) => {
    const elected = () => datastore.contents()[`Node/n${number}`] as Node | undefined;
    const speaker = {
      get config() {
        const own = elected();
        return { elected: own !== undefined && isElected(own) };
      },
    };
    const others = numbers.filter((other) => other !== number);
    const established = { state: "Established" } as const;
    const host = {
      status: () => others.map((each) => ({ ...established, address: parseIpAddr(address(each)) })),
    };
    return electedSessions(`n${number}`, { speaker, host }, { datastore, clock, log })(stop.signal);
  });
  const ended = electionController({ datastore, clock, log, onState })(stop.signal);
  return {
    pass: (seconds: number) => clock.advanceSlowly(seconds * 1000, 500),
    state: () => state,
    end: async () => {
      stop.abort();
      await Promise.all([ended, ...speakers]);
    },
  };
}

const keyText = { kind: "BGPConfiguration", name: "default" } as const;

test("the controller elects, takes the mesh's place, and leaves nothing when nobody asks any more", async () => {
  const datastore = new MemoryDatastore([
    configuration("2 per zone from 3 nodes"),
    ...[1, 2, 3, 4].map((n) => node(n)),
  ]);
  const { pass, state, end } = await running(datastore, [1, 2, 3, 4]);
  await pass(40);
  assert.deepEqual([state()?.phase, state()?.uncovered], ["reflectors", 0]);
  const elected = (await datastore.list("Node")).items.filter(isElected);
  assert.deepEqual(
    elected.map(({ metadata }) => metadata.name),
    state()?.reflectors,
  );
  assert.equal(elected.length, 2);
  for (const { metadata, spec } of elected) {
    assert.equal(metadata.labels?.[electedLabel], spec.bgp?.ipv4Address?.split("/")[0]);
  }
  const mesh = await datastore.get(keyText);
  assert.equal(mesh.spec.nodeToNodeMeshEnabled, false);
  assert.equal(mesh.metadata.annotations?.[meshOffAnnotation], "route-reflectors");
  assert.deepEqual((await datastore.get<"BGPPeer">(keyOf(electedPeer))).spec, electedPeer.spec);
  assert.equal((await datastore.list("Lease")).items.length, 2);

  await datastore.update<"BGPConfiguration">({
    ...mesh,
    metadata: { ...mesh.metadata, annotations: { [meshOffAnnotation]: "route-reflectors" } },
  });
  await pass(100);
  assert.equal(state()?.phase, "off");
  const { spec, metadata } = await datastore.get(keyText);
  assert.deepEqual([spec.nodeToNodeMeshEnabled, metadata.annotations], [true, {}]);
  const nodes = (await datastore.list("Node")).items;
  assert.ok(nodes.every((each) => each.spec.bgp?.routeReflectorClusterID === undefined));
  assert.ok(nodes.every((each) => each.metadata.labels?.[electedLabel] === undefined));
  assert.deepEqual((await datastore.list("BGPPeer")).items, []);
  assert.deepEqual((await datastore.list("Lease")).items, []);
  await end();
});

test("the controller writes nothing where a person has a reflector, or has switched the mesh off", async () => {
  const own = { routeReflectorClusterID: "244.0.0.1" };
  for (const [resources, reason] of [
    [
      [configuration("1 per zone from 2 nodes"), node(1, own), node(2)],
      /made n1 a route reflector/,
    ],
    [
      [
        configuration("1 per zone from 2 nodes", { nodeToNodeMeshEnabled: false }),
        node(1),
        node(2),
      ],
      /nodeToNodeMeshEnabled/,
    ],
  ] as const) {
    const datastore = new MemoryDatastore(resources);
    const before = datastore.contents();
    const { pass, state, end } = await running(datastore, [1, 2]);
    await pass(30);
    assert.equal(state()?.phase, "blocked");
    assert.match(state()?.reason ?? "", reason);
    assert.deepEqual(datastore.contents(), before);
    await end();
  }
});

test("an elected node that is silent does not end the mesh", async () => {
  const datastore = new MemoryDatastore([
    configuration("1 per zone from 2 nodes"),
    ...[1, 2, 3].map((number) => node(number)),
  ]);
  const { pass, state, end } = await running(datastore, []);
  await pass(60);
  assert.equal(state()?.phase, "electing");
  assert.match(state()?.reason ?? "", /has not told of its sessions yet/);
  assert.notEqual((await datastore.get(keyText)).spec.nodeToNodeMeshEnabled, false);
  await end();
});

test("an elected node renews its Lease while it is one, and tells of a session that is lost", async () => {
  const clock = new FakeClock();
  const datastore = new MemoryDatastore([]);
  const stop = new AbortController();
  const config = { elected: true };
  let up = [1, 2];
  const host = {
    status: () => [
      ...up.map((each) => ({ state: "Established" as const, address: parseIpAddr(address(each)) })),
      { state: "Active" as const, address: parseIpAddr("10.0.0.9") },
    ],
  };
  const ended = electedSessions(
    "n5",
    { speaker: { config }, host },
    { datastore, clock, log },
  )(stop.signal);
  const lease = () => datastore.get<"Lease">(electedLeaseKey("n5"));
  const told = async () => (await lease()).metadata.annotations?.["tortie.dev/established"];
  await clock.advanceSlowly(3_000, 500);
  assert.equal(await told(), "10.0.0.1,10.0.0.2");
  const { renewTime } = (await lease()).spec;
  await clock.advanceSlowly(18_000, 500);
  assert.notEqual((await lease()).spec.renewTime, renewTime);
  up = [2];
  await clock.advanceSlowly(3_000, 500);
  assert.equal(await told(), "10.0.0.2");
  config.elected = false;
  const { resourceVersion } = (await lease()).metadata;
  await clock.advanceSlowly(30_000, 500);
  assert.equal((await lease()).metadata.resourceVersion, resourceVersion);
  stop.abort();
  await ended;
});

test("electionSettings() reads what is asked for, and names what it cannot read", () => {
  const read = (text: string) => electionSettings(configuration(text));
  assert.deepEqual(read("2 per zone from 100 nodes"), { perZone: 2, from: 100, meshBelow: 80 });
  assert.deepEqual(read("1 per zone from 2 nodes, mesh below 2"), {
    ...{ perZone: 1, from: 2, meshBelow: 2 },
  });
  const wrong = ["", "2", "0 per zone from 9 nodes", "9 per zone from 9 nodes"];
  const more = ["2 per zone from 1 nodes", "2 per zone from 9 nodes, mesh below 10"];
  for (const text of [...wrong, ...more]) {
    assert.throws(() => read(text), {
      name: "SyntaxError",
      message: new RegExp(`^tortie.dev/route-reflectors must be .* got "${text}"$`),
    });
  }
});

test("apply refuses a BGPConfiguration whose annotation cannot be read", () => {
  assert.throws(
    () => decodeResource(configuration("many")),
    /metadata.annotations.*tortie.dev\/route-reflectors must be as in "2 per zone from 100 nodes"/,
  );
});
