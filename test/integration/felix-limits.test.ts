import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { keyOf } from "../../src/api/resource-key.ts";
import type { QoSControls } from "../../src/api/resources/workload-endpoint.ts";
import { node, pool, profile } from "../states/resources.ts";
import { waitFor } from "../support/wait-for.ts";
import { FelixNode, inside, podEndpoint } from "./felix-node.ts";

/** What an endpoint's qosControls do to packets (facts 4.5, 4.6, 4.19). */

const felix = new FelixNode("fl");
let [netnsA, netnsB] = ["", ""];

const limited = (name: string, ip: string, qosControls?: QoSControls) =>
  podEndpoint(name, ip, qosControls === undefined ? {} : { qosControls });

before(async () => {
  netnsA = felix.addPod("a", "10.0.0.1", "02:00:00:00:00:01");
  netnsB = felix.addPod("b", "10.0.0.2", "02:00:00:00:00:02");
  felix.addOutside("192.168.1.1/24");
  inside(felix.outside, "ip", ["route", "add", "10.0.0.0/16", "via", "192.168.1.11"]);
  const resources = [
    node("node-a", "192.168.1.11/24"),
    pool("default", "10.0.0.0/16"),
    profile("kns.prod"),
    limited("a", "10.0.0.1"),
    limited("b", "10.0.0.2"),
  ];
  for (const resource of resources) await felix.datastore.create(resource as never);
  await felix.start();
});
after(() => felix.close());

/** Gives pod "a" or "b" these limits, and waits until the kernel shows them, or shows them no more. */
async function limit(
  name: "a" | "b",
  qosControls: QoSControls | undefined,
  shown: () => string,
  want: RegExp,
): Promise<void> {
  const resource = limited(name, name === "a" ? "10.0.0.1" : "10.0.0.2", qosControls);
  const { metadata } = await felix.datastore.get<"WorkloadEndpoint">(keyOf(resource));
  await felix.datastore.update<"WorkloadEndpoint">({ ...resource, metadata });
  await waitFor(() => want.test(shown()) === (qosControls !== undefined), {
    timeoutMs: 10_000,
    what: `${want}`,
  });
}

const qdiscs = () => felix.run("tc", "qdisc", "show");

/** Seconds that 500 kB take from pod a to pod b. */
function transferSeconds(port: number): number {
  const program = `
    const started = process.hrtime.bigint();
    const socket = require("node:net").connect(${port}, "10.0.0.2");
    socket.end(Buffer.alloc(500_000)).resume();
    socket.on("close", () => console.log(Number(process.hrtime.bigint() - started) / 1e9));`;
  return Number(inside(netnsA, process.execPath, ["-e", program]));
}

const rules = (table: string) => () => felix.run("iptables-save", "-t", table);

/** How many of these pings, 10 ms apart, are answered. */
function answered(netns: string, count: number, address: string): number {
  const ping = `ping -q -c ${count} -i 0.01 -W 0.5 ${address} || true`;
  const text = inside(netns, "sh", ["-c", ping]);
  return Number(/(\d+) received/.exec(text)?.[1]);
}

test("packets above a pod's rate are dropped, in the direction that is limited", async () => {
  const qos = { egressPacketRate: 1, egressPacketBurst: 3 };
  assert.equal(answered(netnsA, 20, "192.168.1.1"), 20);
  await limit("a", qos, rules("filter"), /over egress packet rate limit/);
  const within = answered(netnsA, 20, "192.168.1.1");
  assert.ok(within >= 1 && within < 20, `${within} of 20`);
  await limit("a", undefined, rules("filter"), /over egress packet rate limit/);
  assert.equal(answered(netnsA, 20, "192.168.1.1"), 20);
});

test("a connection above a pod's number is reset, until one has ended", async () => {
  const server = spawn(
    "ip",
    [
      ...["netns", "exec", netnsB, process.execPath, "-e"],
      'require("net").createServer((socket) => socket.on("error", () => {})).listen(80)',
    ],
    { stdio: "ignore" },
  );
  try {
    await waitFor(() => inside(netnsB, "ss", ["-Hltn"]).includes(":80"), { what: "the listener" });
    await limit(
      "b",
      { ingressMaxConnections: 2 },
      rules("filter"),
      /over ingress connection limit/,
    );
    // Connections stay open until the program ends; then the first is closed and one more is made.
    const program = `
      const { connect } = require("node:net");
      const { once } = require("node:events");
      const open = async () => {
        const socket = connect(80, "10.0.0.2").on("error", () => {});
        const [outcome] = await Promise.race([
          once(socket, "connect").then(() => ["open"]),
          once(socket, "error").then(([error]) => [error.code]),
        ]).catch((error) => [error.code]);
        return { socket, outcome };
      };
      (async () => {
        const made = [await open(), await open(), await open()];
        made[0].socket.resetAndDestroy();
        let last = await open();
        for (let i = 0; i < 1000 && last.outcome !== "open"; i++) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          last = await open();
        }
        console.log([...made, last].map(({ outcome }) => outcome).join(" "));
        process.exit();
      })();`;
    const outcomes = inside(netnsA, process.execPath, ["-e", program]).trim();
    assert.equal(outcomes, "open open ECONNREFUSED open");
  } finally {
    server.kill("SIGKILL");
  }
});

test("what leaves the cluster has the pod's code point, what stays has none", async () => {
  const marked = ["-m", "dscp", "--dscp", "46", "-p", "icmp"];
  for (const netns of [felix.outside, netnsB]) {
    inside(netns, "iptables", ["-t", "raw", "-A", "PREROUTING", ...marked]);
  }
  const seen = (netns: string) =>
    Number(
      /^\[(\d+):.*--dscp 0x2e$/m.exec(inside(netns, "iptables-save", ["-c", "-t", "raw"]))?.[1],
    );
  await limit("a", { dscp: "EF" }, rules("mangle"), /10\.0\.0\.1\/32 .*-j DSCP --set-dscp 0x2e/);
  for (const address of ["192.168.1.1", "10.0.0.2"]) {
    assert.equal(answered(netnsA, 1, address), 1);
  }
  assert.equal(seen(felix.outside), 1, "outside");
  assert.equal(seen(netnsB), 0, "in the pool");
  const sets = ["cali40this-host", "cali40dscp-src-net"].map((set) =>
    execFileSync("ip", ["netns", "exec", felix.netns, "ipset", "list", set], { encoding: "utf8" }),
  );
  assert.match(sets[0] ?? "", /hash:ip[\s\S]*\n192\.168\.1\.11\n/);
  assert.match(sets[1] ?? "", /\n10\.0\.0\.1\n/);
  felix.run("ip", "address", "add", "192.168.1.77/24", "dev", "eth0");
  await waitFor(() => felix.run("ipset", "list", "cali40this-host").includes("192.168.1.77"), {
    what: "an address of the host that came",
  });
});

test("bandwidth is held down in either direction, and the devices for it go with the limit", async () => {
  const server = spawn(
    "ip",
    [
      ...["netns", "exec", netnsB, process.execPath, "-e"],
      'require("net").createServer((socket) => socket.resume()).listen(81)',
    ],
    { stdio: "ignore" },
  );
  try {
    await waitFor(() => inside(netnsB, "ss", ["-Hltn"]).includes(":81"), { what: "the listener" });
    await limit("b", undefined, rules("filter"), /over ingress connection limit/);
    // 1 MB a second, 10 kB of them at once: 0.49 s for the rest.
    const [rate, burst] = [8_000_000, 80_000];
    await limit(
      "b",
      { ingressBandwidth: rate, ingressBurst: burst },
      qdiscs,
      /tbf 1: dev calib root/,
    );
    assert.ok(transferSeconds(81) > 0.45, "to the pod");
    await limit("b", undefined, qdiscs, /tbf/);
    await limit(
      "a",
      { egressBandwidth: rate, egressBurst: burst },
      qdiscs,
      /ingress ffff: dev calia/,
    );
    assert.match(qdiscs(), /tbf 1: dev bwcali[0-9a-f]{9} root/);
    assert.ok(transferSeconds(81) > 0.45, "from the pod");
    assert.equal(answered(netnsA, 1, "10.0.0.2"), 1);
    // What a felix left behind that was killed, the next one takes away.
    await felix.stop("SIGKILL");
    const resource = limited("a", "10.0.0.1");
    const { metadata } = await felix.datastore.get<"WorkloadEndpoint">(keyOf(resource));
    await felix.datastore.update<"WorkloadEndpoint">({ ...resource, metadata });
    await felix.start();
    await waitFor(
      () => !/tbf|ingress/.test(qdiscs()) && !felix.run("ip", "link").includes("bwcali"),
      {
        what: "the end of the limit",
      },
    );
    assert.equal(answered(netnsA, 1, "10.0.0.2"), 1);
  } finally {
    server.kill("SIGKILL");
  }
});
