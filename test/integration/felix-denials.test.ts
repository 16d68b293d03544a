import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { networkPolicyOf } from "../../src/api/kubernetes/network-policy.ts";
import { keyOf } from "../../src/api/resource-key.ts";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import { askControl } from "../../src/cli/control-client.ts";
import type { Denial } from "../../src/felix/denials/denial-log.ts";
import { inNetns } from "../../src/kernel/netns.ts";
import { openNflog } from "../../src/kernel/nflog.ts";
import { globalPolicy, node, policy, pool, profile, tier } from "../states/resources.ts";
import { waitFor } from "../support/wait-for.ts";
import { FelixNode, inside, podEndpoint } from "./felix-node.ts";

/** A packet that policy denies is told of, with what denied it: in the log, and to who asks. */

const felix = new FelixNode("fd", {
  FELIX_POLICYDENIALLOGS: "Enabled",
  FELIX_LOGSEVERITYSCREEN: "Info",
});
let netns = "";

const create = (resource: AnyResource) => felix.datastore.create(resource as never);

before(async () => {
  netns = felix.addPod("a", "10.0.0.1", "02:00:00:00:00:01");
  felix.addPod("b", "10.0.0.2", "02:00:00:00:00:02");
  const resources = [
    node("node-a", "192.168.1.11/24"),
    pool("default", "10.0.0.0/16"),
    profile("kns.prod"),
    tier("first", { order: 1 }),
    podEndpoint("a", "10.0.0.1"),
    podEndpoint("b", "10.0.0.2"),
  ];
  for (const resource of resources) await create(resource);
  await felix.start();
});
after(() => felix.close());

/** Sends datagrams to this port of pod b until one is denied by what the test has just made. */
async function denialAt(port: number, by: RegExp): Promise<Partial<Denial>> {
  const found = await waitFor(
    async () => {
      execFile("ip", [
        ...["netns", "exec", netns, "bash", "-c", `echo x > /dev/udp/10.0.0.2/${port}`],
      ]);
      return (await told()).find(
        (denial) => denial.port === port && by.test(JSON.stringify(denial)),
      );
    },
    { what: `a denial at port ${port}`, intervalMs: 200 },
  );
  const { time, suppressed, ...rest } = found;
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
  assert.ok(suppressed >= 0);
  return rest;
}

async function told(): Promise<Denial[]> {
  const denials: Denial[] = [];
  const rows = askControl(join(felix.folder, "felix.sock"), { request: "denials", follow: false });
  for await (const row of rows) denials.push(row as Denial);
  return denials;
}

const flow = {
  source: "10.0.0.1",
  destination: "10.0.0.2",
  protocol: "udp",
  workload: "prod/node--a-k8s-b-eth0",
} as const;

test("the rule of a policy that denies is named", async () => {
  const denies = globalPolicy("first.no-dns", {
    tier: "first",
    selector: "app == 'b'",
    ingress: [
      { action: "Deny", protocol: "UDP", destination: { ports: [52] } },
      { action: "Deny", protocol: "UDP", destination: { ports: [53] } },
      { action: "Pass" },
    ],
  });
  await create(denies);
  assert.deepEqual(await denialAt(53, /no-dns/), {
    ...flow,
    direction: "ingress",
    by: "rule",
    tier: "first",
    policy: "GlobalNetworkPolicy first.no-dns",
    rule: 1,
    port: 53,
  });
  await waitFor(() => felix.log.includes('"policy":"GlobalNetworkPolicy first.no-dns"'), {
    what: "the line in the log",
  });
});

test("a storm costs a few lines", async () => {
  const before = (await told()).length;
  const send = `
    const socket = require("node:dgram").createSocket("udp4");
    let left = 60_000;
    const some = () => {
      for (let i = 0; i < 200 && left > 0; i++, left--) socket.send("x", 53, "10.0.0.2");
      if (left > 0) setImmediate(some); else socket.close();
    };
    some();`;
  inside(netns, process.execPath, ["-e", send]);
  const after = await told();
  assert.ok(after.length - before < 30, `${after.length - before} lines`);
  const rules = felix.run("iptables-save", "-c", "-t", "filter");
  const drop = /^\[(\d+):\d+\].*cali-pi-gnp\/first\.no-dns.*0x40000\/0x40000 -j DROP$/gm;
  const dropped = Math.max(...[...rules.matchAll(drop)].map(([, count]) => Number(count)));
  assert.ok(dropped > 30_000, `${dropped} packets dropped`);
});

test("a policy of Kubernetes is named that lets in what another sends", async () => {
  const web = networkPolicyOf({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "web", namespace: "prod" },
    spec: {
      podSelector: { matchLabels: { app: "b" } },
      ingress: [{ ports: [{ protocol: "TCP", port: 80 }] }],
    },
  } as never);
  await create(web);
  assert.deepEqual(await denialAt(5353, /prod\/web/), {
    ...flow,
    direction: "ingress",
    by: "end of tier",
    tier: "default",
    policies: ["KubernetesNetworkPolicy prod/web"],
    port: 5353,
  });
  await felix.datastore.delete(keyOf(web));
});

test("at the end of a tier the policies of the sender are named", async () => {
  const egress = policy("only-web", {
    selector: "app == 'a'",
    types: ["Egress"],
    egress: [{ action: "Allow", protocol: "TCP", destination: { ports: [80] } }],
  });
  await create(egress);
  assert.deepEqual(await denialAt(54, /only-web/), {
    ...flow,
    direction: "egress",
    workload: "prod/node--a-k8s-a-eth0",
    by: "end of tier",
    tier: "default",
    policies: ["NetworkPolicy prod/only-web"],
    port: 54,
  });
  await felix.datastore.delete(keyOf(egress));
});

test("a pod without policy and profile is told of", async () => {
  const key = keyOf(podEndpoint("b", "10.0.0.2"));
  await felix.datastore.delete(key);
  await create(podEndpoint("b", "10.0.0.2", { profiles: [] }));
  const denial = await denialAt(55, /no profile/);
  assert.deepEqual(denial, { ...flow, direction: "ingress", by: "no profile", port: 55 });
});

test("the groups are free again when felix has ended", async () => {
  await felix.stop("SIGTERM");
  assert.equal(felix.run("cat", "/proc/net/netfilter/nfnetlink_log").trim(), "");
});

test("where another program has the groups felix says so, and has Calico's chains", async () => {
  const fd = openSync(`/run/netns/${felix.netns}`, "r");
  const taken = inNetns(fd, () => openNflog([1]));
  closeSync(fd);
  try {
    await felix.start();
    assert.match(felix.log, /policyDenialLogs has no effect.*/);
    assert.doesNotMatch(felix.run("iptables-save", "-t", "filter"), /NFLOG/);
  } finally {
    taken.close();
  }
});
