import assert from "node:assert/strict";
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { keyOf } from "../../src/api/resource-key.ts";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import { FelixNode, inside, pings } from "../integration/felix-node.ts";
import { node, pod, policy, pool, profile } from "../states/resources.ts";
import { waitFor } from "../support/wait-for.ts";

/** Policy that needs what only a distribution's kernel has, or that changes all of the machine. */

const felix = new FelixNode("vm", { FELIX_IPV6SUPPORT: "false" });
const { datastore } = felix;
const servers: ChildProcess[] = [];
const target = "10.0.0.2";
let client = "";
let server = "";

const create = (resource: AnyResource) => datastore.create(resource as never);
const remove = (resource: AnyResource) => datastore.delete(keyOf(resource));

const becomes = (what: string, want: boolean, answer: () => Promise<boolean>) =>
  waitFor(async () => (await answer()) === want, { timeoutMs: 60_000, what });

function endpoint(name: string, ip: string) {
  return pod(`node--a-k8s-${name}-eth0`, {
    ip: `${ip}/32`,
    labels: { app: name },
    pod: name,
    interfaceName: `cali${name}`,
    mac: `02:00:00:00:00:0${ip.at(-1)}`,
  });
}

/** An answer that does not come within so many seconds is none. */
const patience = "2";

function connects(address: "SCTP-CONNECT" | "TCP-CONNECT", port: number): Promise<boolean> {
  const ends = ["-u", "/dev/null", `${address}:${target}:${port}`];
  const args = ["netns", "exec", client, "timeout", patience, "socat", ...ends];
  return new Promise((resolve) => execFile("ip", args, (error) => resolve(error === null)));
}

before(async () => {
  client = felix.addPod("a", "10.0.0.1", "02:00:00:00:00:01");
  server = felix.addPod("b", target, "02:00:00:00:00:02");
  const resources = [
    node("node-a", "192.168.1.11/24"),
    pool("default", "10.0.0.0/16"),
    profile("kns.prod"),
    endpoint("a", "10.0.0.1"),
    endpoint("b", target),
  ];
  for (const resource of resources) await create(resource);
  for (const listener of ["SCTP-LISTEN:80", "SCTP-LISTEN:81", "TCP-LISTEN:80"]) {
    const args = ["netns", "exec", server, "socat", "-u", `${listener},fork`, "/dev/null"];
    servers.push(spawn("ip", args, { stdio: "ignore" }));
  }
  await felix.start();
});
after(async () => {
  for (const { pid } of servers) if (pid !== undefined) process.kill(pid);
  await felix.close();
});

test("SCTP is let in by its own rules, by number and by port", async () => {
  const sctp80 = () => connects("SCTP-CONNECT", 80);
  await becomes("the profile", true, sctp80);
  const onlyTcp = policy("only-tcp", {
    selector: "app == 'b'",
    types: ["Ingress"],
    ingress: [{ action: "Allow", protocol: "TCP" }],
  });
  await create(onlyTcp);
  await becomes("a policy for TCP", false, sctp80);
  const port80 = policy("sctp-80", {
    selector: "app == 'b'",
    types: ["Ingress"],
    ingress: [{ action: "Allow", protocol: "SCTP", destination: { ports: [80] } }],
  });
  await create(port80);
  await becomes("a policy for SCTP port 80", true, sctp80);
  assert.equal(await connects("SCTP-CONNECT", 81), false, "another port");
  await remove(port80);
  await becomes("the end of it", false, sctp80);
  const byNumber = policy("sctp", {
    selector: "app == 'b'",
    types: ["Ingress"],
    ingress: [{ action: "Allow", protocol: 132 }],
  });
  await create(byNumber);
  await becomes("protocol 132", true, () => connects("SCTP-CONNECT", 81));
  await remove(byNumber);
  await remove(onlyTcp);
});

test("a full connection table lets nothing pass that policy forbids, and felix goes on", async () => {
  const tcp80 = () => connects("TCP-CONNECT", 80);
  const ping = () => pings(client, target);
  const noPing = policy("no-ping", {
    selector: "app == 'b'",
    types: ["Ingress"],
    ingress: [{ action: "Allow", protocol: "TCP" }],
  });
  await create(noPing);
  await becomes("the policy", false, ping);
  await becomes("TCP", true, tcp80);
  fillConnectionTable();
  assert.equal(await tcp80(), false, "no room for another connection");
  assert.equal(await ping(), false, "forbidden, table full");
  const nothing = policy("nothing", { selector: "app == 'b'", types: ["Ingress"], order: 1 });
  await create(nothing);
  const rules = () => felix.run("iptables-save", "-t", "filter");
  await waitFor(() => rules().includes("nothing"), { timeoutMs: 60_000, what: "a policy of now" });
  await remove(noPing);
  emptyConnectionTable();
  await becomes("the end of the policy for TCP", false, tcp80);
  assert.equal(await ping(), false, "forbidden, table empty");
  await remove(nothing);
  await becomes("the profile", true, tcp80);
});

function fillConnectionTable(): void {
  felix.run("conntrack", "-F");
  setLimit(64);
  const flows = "for port in $(seq 2000 2400); do echo > /dev/udp/192.168.1.1/$port; done";
  inside(client, "bash", ["-c", `${flows} 2>/dev/null`]);
  const tracked = Number(felix.run("sysctl", "-n", "net.netfilter.nf_conntrack_count"));
  assert.ok(tracked >= 60, `${tracked} connections of 64`);
}

function emptyConnectionTable(): void {
  setLimit(65_536);
  felix.run("conntrack", "-F");
}

/** Of all namespaces: only the machine's own may set it. */
function setLimit(connections: number): void {
  execFileSync("sysctl", ["-q", "-w", `net.netfilter.nf_conntrack_max=${connections}`]);
}
