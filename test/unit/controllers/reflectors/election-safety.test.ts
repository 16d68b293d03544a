import assert from "node:assert/strict";
import { test } from "node:test";
import { pairOf, World } from "./world.ts";

/*
 * Random lives of clusters: nodes come, go, die, are drained, pairs cannot speak, settings change, the controller
 * begins anew. At no moment may an act of the controller part two nodes; and some minutes after the last trouble every
 * node has the mesh or a reflector, and every pair the routes of each other. TORTIE_SEEDS=1000 takes two minutes.
 */

/** After this long without trouble all is as it should be: a Lease that is old, a grace, the mesh. */
const recoverySeconds = 300;
const lifeSeconds = 1_500;
const startSeconds = 10;
const zones = ["a", "b"];

/** A small generator of pseudo-random numbers (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function live(seed: number, knowsDead: boolean): void {
  const random = randomOf(seed);
  const pick = <Item>(items: readonly Item[]): Item =>
    items[Math.floor(random() * items.length)] as Item;
  const world = new World(random, { knowsDead });
  for (let i = 0; i < 6; i++) world.add(pick(zones));
  world.pass(60);
  world.settings = { perZone: 1 + Math.floor(random() * 2), from: 4, meshBelow: 3 };
  let troubledAt = world.now;
  const events: readonly (() => void)[] = [
    () => world.nodes.size < 9 && world.add(pick(zones)),
    () => world.nodes.size > 2 && world.remove(pick([...world.nodes.keys()])),
    () => world.setAlive(pick([...world.nodes.keys()]), random() < 0.6),
    () => world.setAlive(pick([...world.nodes.keys()]), true),
    () => Object.assign(world.node(pick([...world.nodes.keys()])), { isDrained: random() < 0.5 }),
    () => world.cut(pick([...world.nodes.keys()]), pick([...world.nodes.keys()])),
    () => world.cuts.clear(),
    () => world.restart(),
    () => Object.assign(world, { settings: pick([undefined, settingsOf(1), settingsOf(2)]) }),
  ];
  for (let second = 0; second < lifeSeconds; second += 5) {
    if (random() < 0.05) {
      pick(events)();
      troubledAt = world.now;
    }
    world.pass(5);
    actSafely(world, `seed ${seed}, second ${second}`);
    if (world.now - troubledAt >= recoverySeconds) {
      requireWhole(world, `seed ${seed}, second ${second}, ${JSON.stringify(world.plan)}`);
    }
  }
  end(world, seed);
}

const settingsOf = (perZone: number) => ({ perZone, from: 4, meshBelow: 3 });

/** Nodes that have just started have no sessions that anybody could keep. */
function livingPairs(world: World): [string, string][] {
  const names = [...world.nodes.values()]
    .filter(({ isAlive, since }) => isAlive && world.now - since >= startSeconds)
    .map(({ name }) => name);
  return names.flatMap((a, i) =>
    names
      .slice(i + 1)
      .filter((b) => !world.cuts.has(pairOf(a, b)))
      .map((b): [string, string] => [a, b]),
  );
}

/** What two nodes had of each other before the controller acts, they have afterwards. */
function actSafely(world: World, when: string): void {
  const before = livingPairs(world).filter(([a, b]) => world.reaches(a, b));
  const actions = world.look();
  for (const [a, b] of before) {
    assert.ok(world.reaches(a, b), `${a} and ${b}, ${when}: ${JSON.stringify(actions)}`);
  }
}

function requireWhole(world: World, when: string): void {
  for (const { name, isAlive, isDrained } of world.nodes.values()) {
    const isHere = isAlive && !isDrained;
    if (isHere) assert.ok(world.mesh === "on" || world.isCovered(name), `${name}, ${when}`);
  }
  if (world.cuts.size > 0) return;
  for (const [a, b] of livingPairs(world)) {
    assert.ok(world.reaches(a, b), `${a} and ${b}, ${when}`);
  }
}

/** When all is well again, there are the reflectors that are asked for, or nothing of ours is left. */
function end(world: World, seed: number): void {
  world.cuts.clear();
  for (const { name } of world.nodes.values()) {
    world.setAlive(name, true);
    world.node(name).isDrained = false;
  }
  for (let second = 0; second < 1_500; second += 5) {
    world.pass(5);
    actSafely(world, `seed ${seed}, at the end`);
  }
  const what = `seed ${seed}: ${JSON.stringify(world.plan)}`;
  const { settings, nodes } = world;
  const isWanted = settings !== undefined && nodes.size >= settings.from;
  if (isWanted) {
    const perZone = zones.map((zone) => [...nodes.values()].filter((node) => node.zone === zone));
    const wanted = perZone.map((each) => Math.min(each.length, settings.perZone));
    const elected = perZone.map((each) => each.filter(({ isElected }) => isElected).length);
    assert.deepEqual(elected, wanted, what);
    assert.equal(world.mesh, "off by us", what);
  } else if (settings === undefined) {
    assert.deepEqual([world.elected(), world.mesh, world.peer], [[], "on", "absent"], what);
  }
}

for (const knowsDead of [true, false]) {
  const who = knowsDead
    ? "somebody tells which nodes are down"
    : "nobody tells which nodes are down";
  test(`no order of events parts two nodes, where ${who}`, () => {
    const seeds = Number(process.env["TORTIE_SEEDS"] ?? 8);
    for (let seed = 1; seed <= seeds; seed++) live(seed, knowsDead);
  });
}
