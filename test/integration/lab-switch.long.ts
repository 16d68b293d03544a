import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Encapsulation } from "../../src/lab/lab-plan.ts";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { TestLab } from "../support/lab.ts";
import { guard, type SwitchReport, switchMode, underTraffic } from "../support/switch-modes.ts";
import { TcpStreams } from "../support/tcp-streams.ts";
import { waitFor } from "../support/wait-for.ts";

/** A pool's mode is changed under TCP streams and pings; and while a daemon sleeps. */

const streams = 10;
const fabrics: readonly (readonly [
  what: string,
  args: readonly string[],
  modes: Encapsulation[],
])[] = [
  [
    "one segment",
    ["--segments", "1", "--nodes", "2", "--encapsulation", "None"],
    ["VXLANCrossSubnet", "VXLAN", "None", "VXLAN", "VXLANCrossSubnet", "None"],
  ],
  [
    "two segments and a router that speaks BGP",
    ["--fabric", "bgp", "--encapsulation", "None"],
    ["VXLANCrossSubnet", "VXLAN", "None", "VXLAN", "VXLANCrossSubnet", "None"],
  ],
  [
    "two segments and a router without pod routes",
    ["--encapsulation", "VXLANCrossSubnet"],
    ["VXLAN", "VXLANCrossSubnet"],
  ],
];

for (const [index, [what, args, modes]] of fabrics.entries()) {
  test(`every switch on ${what} under ${streams} TCP streams: gap of 1 s at most, no policy hole`, async () => {
    const lab = new TestLab(`w${index}`);
    try {
      await lab.mustLab("up", ...args);
      const status = await guarded(lab);
      const tcp = await ring(status);
      let before = args.at(-1);
      for (const mode of modes) {
        const report = await underTraffic(status, () => switchMode(lab, mode));
        judge(`${what}: ${before} to ${mode}`, report);
        before = mode;
      }
      await Promise.all(tcp.map((each) => each.flow()));
      const silence = tcp.map(({ longestSilenceMs }) => longestSilenceMs);
      console.log(`${what}: longest silence of the TCP streams in ms ${JSON.stringify(silence)}`);
      assert.ok(silence.every((ms) => ms <= 1000));
      await Promise.all(tcp.map((each) => each.stop()));
      assert.deepEqual((await lab.check()).mismatches, []);
    } finally {
      await lab.down();
    }
  });
}

/** A daemon that sleeps is later than all others to learn of the change. */
const sleepers: readonly (readonly ["felix" | "bgp", Encapsulation, Encapsulation])[] = [
  ["bgp", "None", "VXLAN"],
  ["bgp", "VXLAN", "None"],
  ["felix", "VXLAN", "None"],
];
for (const [daemon, from, to] of sleepers) {
  test(`${from} to ${to} while ${daemon} of one node sleeps for 5 s: gap of 1 s at most`, async () => {
    const lab = new TestLab(`z${sleepers.findIndex(([, of]) => of === from)}${daemon}`);
    try {
      const size = ["--segments", "1", "--nodes", "2"];
      await lab.mustLab("up", ...size, "--encapsulation", from);
      const status = await guarded(lab);
      const pid = status.nodes[0]?.pids[daemon] ?? assert.fail(`${daemon} does not run`);
      const report = await underTraffic(status, async () => {
        process.kill(pid, "SIGSTOP");
        const awake = delay(5000).then(() => process.kill(pid, "SIGCONT"));
        await Promise.all([awake, switchMode(lab, to)]);
      });
      judge(`${from} to ${to}, ${daemon} of ${status.nodes[0]?.name} asleep`, report);
    } finally {
      await lab.down();
    }
  });
}

function judge(what: string, { gapMs, forbidden }: SwitchReport): void {
  console.log(`${what}: longest gap in ms ${JSON.stringify(gapMs)}`);
  assert.deepEqual(forbidden, [], what);
  for (const [node, gap] of Object.entries(gapMs)) assert.ok(gap <= 1000, `${what}: ${node}`);
}

/** The second pods are guarded from now on. */
async function guarded(lab: TestLab): Promise<LabStatus> {
  await lab.apply(guard);
  await waitFor(async () => (await lab.check()).mismatches.length === 0, { what: "the policy" });
  return lab.status();
}

/** From the first pod of each node to that of the next. */
function ring({ pods }: LabStatus): Promise<TcpStreams[]> {
  const firsts = pods.filter(({ name }) => name === "pod1");
  return Promise.all(
    firsts.map(({ netns }, index) => {
      const next = firsts[(index + 1) % firsts.length] ?? assert.fail("no pod");
      const address = next.addresses[0] ?? assert.fail("no address");
      return TcpStreams.open({ from: netns, to: next.netns, address }, streams);
    }),
  );
}
