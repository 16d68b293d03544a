import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { Background, TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

/** Three nodes on two segments, IPIP between segments. */

const lab = new TestLab("i");
let status: LabStatus;

before(async () => {
  const request = ["--encapsulation", "IPIPCrossSubnet", "--pods", "1"];
  await lab.mustLab("up", ...request, "--timeout", "240");
  status = await lab.status();
});
after(() => lab.down());

function node(name: string) {
  const found = status.nodes.find((candidate) => candidate.name === name);
  assert.ok(found, `${name} is there`);
  return found;
}

function podOf(name: string) {
  const found = status.pods.find((candidate) => candidate.node === name);
  assert.ok(found, `a pod of ${name} is there`);
  return { ...found, address: found.addresses[0] ?? "" };
}

test("blocks of the same segment go by the node's address, others by tunl0", async () => {
  const routes = await lab.inside(node("node1").netns, "ip", "route");
  const [same] = node("node2").blocks;
  const [other] = node("node3").blocks;
  assert.match(routes, new RegExp(`^${same} via ${node("node2").address} dev eth0 proto 80 `, "m"));
  assert.match(
    routes,
    new RegExp(`^${other} via ${node("node3").address} dev tunl0 proto 80 `, "m"),
  );
});

test("everybody reaches every pod, pods by their own address, nodes by their tunnel's", async () => {
  const { flows, mismatches } = await lab.check();
  assert.deepEqual(mismatches, []);
  assert.ok(flows.length > 0 && flows.every(({ reached }) => reached));
});

test("IP protocol 4 crosses the router between segments, and never within one", async () => {
  const capture = async (from: string, to: string) => {
    const dump = new Background(status.router, "tcpdump", "-lni", "any", "proto 4 or icmp");
    await waitFor(() => dump.output.includes("listening"), { timeoutMs: 60_000, what: "tcpdump" });
    await lab.inside(podOf(from).netns, "ping", "-c2", podOf(to).address);
    await waitFor(() => dump.output.includes("echo reply"), {
      timeoutMs: 30_000,
      what: "a packet",
    });
    return dump.stop();
  };
  const across = await capture("node1", "node3");
  const ends = `${node("node1").address} > ${node("node3").address}`;
  const pods = `${podOf("node1").address} > ${podOf("node3").address}`;
  assert.ok(across.includes(`IP ${ends}: IP ${pods}: ICMP echo request`), across);
  const within = await capture("node1", "node2");
  assert.doesNotMatch(within, /: IP /);
  assert.match(within, new RegExp(`${podOf("node1").address} > ${podOf("node2").address}: ICMP`));
});

test("the device is made again, and its address, when somebody takes them away", async () => {
  const { netns } = node("node1");
  const text = () => lab.inside(netns, "ip", "-o", "address", "show", "dev", "tunl0");
  const before = (await text()).match(/inet (\S+)/)?.[1] ?? "";
  await lab.inside(netns, "ip", "address", "flush", "dev", "tunl0");
  await waitFor(async () => (await text()).includes(before), {
    timeoutMs: 60_000,
    what: "the tunnel's address",
  });
  await lab.inside(netns, "ip", "link", "set", "tunl0", "down");
  const reaches = () =>
    lab.inside(podOf("node1").netns, "ping", "-c1", "-W2", podOf("node3").address);
  await waitFor(
    () =>
      reaches().then(
        () => true,
        () => false,
      ),
    {
      timeoutMs: 60_000,
      what: "the way through tunl0",
    },
  );
});
