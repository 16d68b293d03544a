import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { Background, TestLab } from "../support/lab.ts";
import { SteadyPing } from "../support/steady-ping.ts";
import { guard, switchMode, underTraffic } from "../support/switch-modes.ts";
import { waitFor } from "../support/wait-for.ts";

/** No encapsulation on one segment, in both families: remote blocks are the speaker's routes. */

const lab = new TestLab("n");
let status: LabStatus;

before(async () => {
  await lab.mustLab(
    ...["up", "--encapsulation", "None", "--segments", "1", "--nodes", "2", "--pods", "2"],
    ...["--ip-family", "dual"],
  );
  status = await lab.status();
});
after(() => lab.down());

const netns = (index: number) => status.nodes[index]?.netns ?? assert.fail("no node");
const pods = () => status.pods.filter(({ name }) => name === "pod1");
const podAddresses = (index: number) => pods()[index]?.addresses ?? assert.fail("no pod");
const podAddress = (index: number) => podAddresses(index)[0] ?? assert.fail("no address");
const block = (index: number, family: 4 | 6 = 4) =>
  status.nodes[index]?.blocks.find((cidr) => cidr.includes(":") === (family === 6)) ??
  assert.fail("no block");

async function birdRoutes(family: 4 | 6 = 4): Promise<string> {
  return lab.inside(netns(0), "ip", `-${family}`, "route", "show", "proto", "bird");
}

async function mesh(enabled: boolean): Promise<void> {
  await lab.apply(`
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {nodeToNodeMeshEnabled: ${enabled}}
`);
}

test("remote blocks are proto bird, own ones blackholes of the speaker, and all is reached", async () => {
  const routes = await birdRoutes();
  assert.match(routes, new RegExp(`^${block(1)} via 192.168.1.12 dev eth0`, "m"));
  assert.match(routes, new RegExp(`^blackhole ${block(0)}`, "m"));
  const routes6 = await birdRoutes(6);
  assert.match(routes6, new RegExp(`^${block(1, 6)} via 2001:db8:1::12 dev eth0`, "m"));
  assert.match(routes6, new RegExp(`^blackhole ${block(0, 6)}`, "m"));
  assert.deepEqual((await lab.check()).mismatches, []);
});

test("killing the speaker twice within 10 s loses no packet and touches no route", async () => {
  const events = new Background(netns(0), "ip", "monitor", "route");
  const pings = podAddresses(1).map(
    (address) => new Background(pods()[0]?.netns ?? "", "ping", "-qi0.05", "-c200", address),
  );
  for (const round of [1, 2]) {
    const pid = (await lab.status()).nodes[0]?.pids.bgp ?? assert.fail("bgp does not run");
    await delay(round * 300);
    process.kill(pid, "SIGKILL");
    await waitFor(
      async () => {
        const now = (await lab.status()).nodes[0]?.pids.bgp ?? null;
        return now !== null && now !== pid;
      },
      { timeoutMs: 30_000, what: "bgp to be back" },
    );
  }
  for (const ping of pings) assert.match(await ping.end(), / 0% packet loss/);
  await waitFor(
    async () => (await lab.status()).nodes[0]?.peers.every(({ state }) => state === "Established"),
    { timeoutMs: 20_000, what: "the session" },
  );
  await events.stop();
  // Of IPv6 the kernel also tells of what it does by itself.
  const own = events.printed.split("\n").filter((line) => /proto (bird|80)|\/26|\/122/.test(line));
  assert.deepEqual(own, []);
});

test("without the mesh the remote routes go, and come back with it", async () => {
  await mesh(false);
  await waitFor(async () => !(await birdRoutes()).includes(`${block(1)} via`), {
    what: "the route to go",
  });
  assert.match(await birdRoutes(), new RegExp(`blackhole ${block(0)}`));
  await mesh(true);
  await waitFor(async () => (await birdRoutes()).includes(`${block(1)} via`), {
    timeoutMs: 20_000,
    what: "the route to come back",
  });
  await lab.inside(pods()[0]?.netns ?? "", "ping", "-c2", "-i0.2", podAddress(1));
});

test("a route of the speaker that somebody removes comes back", async () => {
  await lab.inside(netns(0), "ip", "route", "del", block(1));
  await waitFor(async () => (await birdRoutes()).includes(`${block(1)} via`), {
    what: "the route",
  });
});

/** Both fields at once, as whoever changes them would: felix and bgp hear of it when they do. */
async function programClusterRoutes(felix: string, bgp: string): Promise<void> {
  await lab.apply(`
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {programClusterRoutes: ${felix}}
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {programClusterRoutes: ${bgp}}
`);
}

test("routes change from bgp to felix and back without a packet lost", async () => {
  const pings = podAddresses(1).map(
    (address) => new SteadyPing(`to ${address}`, status.pods[0]?.netns ?? "", address),
  );
  const routes = async (protocol: string) => {
    const list = (family: 4 | 6) =>
      lab.inside(netns(0), "ip", `-${family}`, "route", "show", "proto", protocol);
    return (await list(4)) + (await list(6));
  };
  const owned = async (by: string, other: string) => {
    const [theirs, others] = [await routes(by), await routes(other)];
    const all = [
      ...[`${block(1)} via 192.168.1.12`, `blackhole ${block(0)}`],
      ...[`${block(1, 6)} via 2001:db8:1::12`, `blackhole ${block(0, 6)}`],
    ];
    return all.every((text) => theirs.includes(text) && !others.includes(text));
  };
  const timeoutMs = 60_000;
  try {
    await programClusterRoutes("Enabled", "Disabled");
    await waitFor(() => owned("80", "bird"), { timeoutMs, what: "felix's routes alone" });
    await programClusterRoutes("EnabledIPIPOnly", "EnabledNoEncapOnly");
    await waitFor(() => owned("bird", "80"), { timeoutMs, what: "bgp's routes alone" });
    for (const ping of pings) assert.deepEqual(await ping.lost(), [], ping.what);
  } finally {
    for (const ping of pings) await ping.stop();
  }
});

test("the pool's mode changes while pods talk: gaps below 1 s, and nothing forbidden passes", async (t) => {
  await lab.apply(guard);
  const guarded = status.pods.find(({ name }) => name === "pod2")?.addresses[0] ?? "";
  const blocked = () => lab.inside(pods()[1]?.netns ?? "", "ping", "-c1", "-W1", guarded);
  await waitFor(
    () =>
      blocked().then(
        () => false,
        () => true,
      ),
    { what: "the policy" },
  );
  let before = "None";
  for (const mode of ["VXLANCrossSubnet", "VXLAN", "None"] as const) {
    const { gapMs, forbidden } = await underTraffic(status, () => switchMode(lab, mode));
    t.diagnostic(`${before} to ${mode}: longest gap in ms ${JSON.stringify(gapMs)}`);
    assert.deepEqual(forbidden, []);
    for (const [node, gap] of Object.entries(gapMs)) assert.ok(gap <= 1000, `${node}: ${gap} ms`);
    before = mode;
  }
});
