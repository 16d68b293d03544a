import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { Background, TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

/** The userspace UDP tunnel between two segments, for pods of both families, with all of `tortie node`. */

const lab = new TestLab("u");
const timeoutMs = 60_000;
let status: LabStatus;

before(async () => {
  const shape = ["--nodes", "2", "--segments", "2", "--pods", "1"];
  await lab.mustLab("up", "--encapsulation", "UDPCrossSubnet", "--ip-family", "dual", ...shape);
  status = await lab.status();
});
after(() => lab.down());

const node = (index: number) => status.nodes[index] ?? assert.fail("no node");
const pod = (index: number) => status.pods[index] ?? assert.fail("no pod");

const reaches = (from: string, to: string) =>
  lab.inside(from, "ping", "-c1", "-W1", to).then(
    () => true,
    () => false,
  );

test("all reach all; between segments there are datagrams of UDP port 8285, and no pod's address outside", async () => {
  const dump = new Background(status.router, "tcpdump", "-lni", "segment2", "not tcp");
  await waitFor(() => dump.output.includes("listening"), { timeoutMs, what: "tcpdump" });
  assert.deepEqual((await lab.check()).mismatches, []);
  await waitFor(() => dump.printed.includes(".8285 > 192.168.2."), {
    timeoutMs,
    what: "datagrams",
  });
  await dump.stop();
  assert.doesNotMatch(dump.printed, /IP 10\.244\.|IP6 fd00:/);
  assert.equal(node(1).blocks.length, 2);
  for (const block of node(1).blocks) {
    const family = block.includes(":") ? "-6" : "-4";
    const words = ["ip", family, "route", "show", "to", "exact", block];
    const routes = await lab.inside(node(0).netns, ...words);
    assert.match(routes, /via \S+ dev udp\.tortie .*onlink/);
  }
});

test("tortie node starts the process again when it is killed, and pods reach each other again", async () => {
  const pid = async () => {
    const shown = await lab.inside(node(0).netns, "ss", "-Hulnp", "sport = :8285");
    return Number(/pid=(\d+)/.exec(shown)?.[1] ?? Number.NaN);
  };
  const before = await pid();
  process.kill(before, "SIGKILL");
  await waitFor(async () => (await pid()) > 0 && (await pid()) !== before, {
    timeoutMs,
    what: "the next process",
  });
  const [to = ""] = pod(1).addresses;
  await waitFor(() => reaches(pod(0).netns, to), { timeoutMs, what: "the other pod" });
});

test("a datagram of who is no node does not get as far as the process", async () => {
  const dropped = async () => {
    const rules = await lab.inside(node(0).netns, "iptables-save", "-c", "-t", "filter");
    return Number(/\[(\d+):\d+\] .*Drop IPv4 UDP tunnel packets from non/.exec(rules)?.[1]);
  };
  assert.equal(await dropped(), 0);
  const to = `/dev/udp/192.168.1.11/8285`;
  await lab.inside(status.router, "bash", "-c", `echo forged > ${to}`);
  await waitFor(async () => (await dropped()) === 1, { timeoutMs, what: "the dropped datagram" });
});

test("a pool that asks for it no longer leaves neither device nor process", async () => {
  const listening = () => lab.inside(node(0).netns, "ss", "-Huln", "sport = :8285");
  for (const family of [4, 6]) {
    const { stdout } = await lab.cli([
      "get",
      "ippool",
      `default-ipv${family}-ippool`,
      "-o",
      "yaml",
    ]);
    const asked = /^ *annotations:\n *tortie\.dev\/encapsulation: UDPCrossSubnet\n/m;
    assert.match(stdout, asked);
    await lab.apply(
      stdout.replace(asked, "").replace("vxlanMode: Never", "vxlanMode: CrossSubnet"),
    );
  }
  await waitFor(async () => (await listening()) === "", { timeoutMs, what: "the end" });
  const device = () => lab.inside(node(0).netns, "ip", "-br", "link");
  await waitFor(async () => !(await device()).includes("udp.tortie"), {
    timeoutMs,
    what: "it to go",
  });
  const [to = ""] = pod(1).addresses;
  await waitFor(() => reaches(pod(0).netns, to), { timeoutMs, what: "the other pod by VXLAN" });
});
