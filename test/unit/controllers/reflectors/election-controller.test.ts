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
import type { Kind, ResourceOfKind } from "../../../../src/api/resource-of-kind.ts";
import type { BGPConfiguration } from "../../../../src/api/resources/bgp.ts";
import type { Node, NodeSpec } from "../../../../src/api/resources/node.ts";
import { decodeResource } from "../../../../src/api/validate.ts";
import { electedSessions } from "../../../../src/bgp/reflector/elected-sessions.ts";
import { carryOut } from "../../../../src/controllers/reflectors/carry-out.ts";
import {
  type ElectionState,
  electionController,
} from "../../../../src/controllers/reflectors/election-controller.ts";
import type { ElectionAction } from "../../../../src/controllers/reflectors/election-plan.ts";
import { DatastoreError, type ListOptions } from "../../../../src/datastore/datastore.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { clusterInformation } from "../../../states/resources.ts";
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

/** Tells of no change any more, or does not answer for Leases, when it is told to. */
class FaultyDatastore extends MemoryDatastore {
  isDeaf = false;
  noLeaseLists = false;
  noRenewals = false;

  override async *watch(...args: Parameters<MemoryDatastore["watch"]>) {
    for await (const event of super.watch(...args)) if (!this.isDeaf) yield event;
  }

  override async list<K extends Kind>(kind: K, options?: ListOptions) {
    if (kind === "Lease" && this.noLeaseLists) throw unavailable();
    return await super.list(kind, options);
  }

  override async update<K extends Kind>(resource: ResourceOfKind[K]) {
    if (resource.kind === "Lease" && this.noRenewals) throw unavailable();
    return await super.update(resource);
  }
}

const unavailable = () => new DatastoreError("Cannot reach", { code: "unavailable" });

const isMeshOff = async (datastore: MemoryDatastore) =>
  (await datastore.get(keyText)).spec.nodeToNodeMeshEnabled === false;

test("a node that no watch has told of yet keeps the mesh", async () => {
  const three = [1, 2, 3].map((number) => node(number));
  const datastore = new FaultyDatastore([configuration("1 per zone from 2 nodes"), ...three]);
  const { pass, state, end } = await running(datastore, [1, 2, 3]);
  await pass(8);
  assert.deepEqual([state()?.phase, state()?.reflectors.length], ["electing", 1]);
  datastore.isDeaf = true;
  await datastore.create<"Node">(node(4));
  await pass(40);
  assert.match(state()?.reason ?? "", /n4 has no session with n\d/);
  assert.equal(await isMeshOff(datastore), false);
  await datastore.delete({ kind: "Node", name: "n4" });
  await pass(20);
  assert.equal(await isMeshOff(datastore), true);
  await end();
});

test("reflectors that could not be heard for a while are not taken for dead", async () => {
  const three = [1, 2, 3].map((number) => node(number));
  const datastore = new FaultyDatastore([configuration("1 per zone from 2 nodes"), ...three]);
  const { pass, end } = await running(datastore, [1, 2, 3]);
  await pass(40);
  assert.equal(await isMeshOff(datastore), true);
  Object.assign(datastore, { noLeaseLists: true, noRenewals: true });
  await pass(100);
  datastore.noLeaseLists = false;
  await pass(30);
  assert.equal(await isMeshOff(datastore), true);
  // Who is heard of, and does not renew, is dead.
  await pass(60);
  assert.equal(await isMeshOff(datastore), false);
  await end();
});

test("while the datastore is locked nothing is written", async () => {
  const three = [1, 2, 3].map((number) => node(number));
  const resources = [configuration("1 per zone from 2 nodes"), clusterInformation(false), ...three];
  const datastore = new MemoryDatastore(resources);
  const before = datastore.contents();
  const { pass, state, end } = await running(datastore, [1, 2, 3]);
  await pass(30);
  assert.equal(state()?.phase, "electing");
  assert.deepEqual(datastore.contents(), before);
  await end();
});

test("what somebody else has done since a plan was made stays", async () => {
  const { name } = electedPeer.metadata;
  const foreignPeer = { ...electedPeer, metadata: { name }, spec: { peerIP: "10.0.0.9" } };
  const own = { routeReflectorClusterID: "244.0.0.1" };
  const switched = configuration("1 per zone from 2 nodes", { nodeToNodeMeshEnabled: false });
  const datastore = new MemoryDatastore([foreignPeer, node(1, own), switched]);
  const before = datastore.contents();
  const acts: readonly ElectionAction[] = [
    ...(["writePeer", "deletePeer", "meshOff", "meshOn"] as const).map((kind) => ({ kind })),
    { kind: "elect", node: "n1", clusterId: "10.0.0.1" },
    { kind: "retire", node: "n1" },
    { kind: "retire", node: "gone" },
  ];
  for (const act of acts) await carryOut(act, datastore);
  assert.deepEqual(datastore.contents(), before);
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
