import assert from "node:assert/strict";
import { test } from "node:test";
import { vethName } from "../../../src/api/names.ts";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import type { AddressHolder } from "../../../src/cni/ports.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { clusterInformation } from "../../states/resources.ts";
import { AgentBench } from "../../support/agent-bench.ts";

/** CHECK, GC, STATUS, calico-ipam, and ADD as its configuration says. */

function holder(containerId: string, address: string): AddressHolder {
  const addresses = [parseIpAddr(address)];
  return { containerId, handle: `net.${containerId}`, namespace: "default", addresses };
}

test("ADD again for the same container answers the same, and changes nothing", async () => {
  const bench = new AgentBench();
  const first = await bench.added();
  assert.equal(first.exitCode, 0);
  assert.deepEqual(await bench.answer(), first);
  assert.equal(bench.assigned, 1);
  assert.deepEqual(bench.released, []);
});

test("ADD again for a container that has lost its address makes all of it anew", async () => {
  const bench = new AgentBench();
  await bench.added();
  const [address] = await bench.pod.addresses.list();
  assert.ok(address !== undefined);
  await bench.pod.addresses.remove(address);
  const { exitCode } = await bench.added();
  assert.equal(exitCode, 0);
  assert.deepEqual([bench.assigned, bench.released], [2, ["net.abc"]]);
  assert.equal((await bench.answer({ CNI_COMMAND: "CHECK" })).exitCode, 0);
});

test("CHECK names what is missing", async () => {
  const cases: readonly [damage: (bench: AgentBench) => Promise<void>, words: RegExp][] = [
    [async ({ pod }) => pod.links.remove(2), /eth0 is missing/],
    [async ({ pod }) => pod.links.set(2, { mac: "02:00:00:00:00:09" as never }), /MAC address 02/],
    [
      async ({ host }) => {
        await host.routes.remove(await host.routes.list());
      },
      /no route to 10\.65\.0\.1/,
    ],
    [
      async ({ host }) => {
        await host.links.set(2, { up: false });
      },
      /cali[0-9a-f]+ is missing, down/,
    ],
    [
      async ({ host }) => {
        const end = await host.links.get(2);
        assert.ok(end !== undefined);
        host.links.get = async () => ({ ...end, linkIfindex: 99 });
      },
      /cali[0-9a-f]+ is .* another pod's/,
    ],
  ];
  for (const [damage, words] of cases) {
    const bench = new AgentBench();
    await bench.added();
    assert.equal((await bench.answer({ CNI_COMMAND: "CHECK" })).exitCode, 0);
    await damage(bench);
    const { exitCode, msg } = await bench.answer({ CNI_COMMAND: "CHECK" });
    assert.equal(exitCode, 1);
    assert.match(msg ?? "", words);
  }
});

test("CHECK holds the chain's result against what is there", async () => {
  const bench = new AgentBench();
  const { exitCode: _, ...result } = await bench.added();
  const check = (prevResult: object) => bench.answer({ CNI_COMMAND: "CHECK" }, { prevResult });
  assert.equal((await check(result)).exitCode, 0);
  assert.match((await check({ ...result, ips: [] })).msg ?? "", /prevResult lacks .*10\.65\.0\.1/);
  const [host, pod] = result.interfaces ?? [];
  const other = { ...pod, mac: "02:00:00:00:00:09" };
  const { msg } = await check({ ...result, interfaces: [host, other] });
  assert.match(msg ?? "", /in prevResult 02:00:00:00:00:09/);
});

test("GC removes what the runtime does not know, of this network and node", async () => {
  const bench = new AgentBench();
  await bench.added();
  bench.holders.push(holder("abc", "10.65.0.1"), holder("old", "10.65.0.2"));
  const collect = (...ids: readonly string[]) =>
    bench.answer(
      { CNI_COMMAND: "GC" },
      { "cni.dev/valid-attachments": ids.map((containerID) => ({ containerID, ifname: "eth0" })) },
    );
  assert.equal((await collect("abc", "other")).exitCode, 0);
  assert.deepEqual(bench.released, ["net.old"]);
  assert.equal(bench.stored().length, 1);
  assert.equal((await collect()).exitCode, 0);
  assert.deepEqual(bench.released, ["net.old", "net.abc", "net.old"]);
  assert.deepEqual([bench.stored(), await bench.hostVeths()], [[], []]);
});

test("GC without a list removes nothing", async () => {
  const bench = new AgentBench();
  bench.holders.push(holder("abc", "10.65.0.1"));
  const { exitCode, code, msg } = await bench.answer({ CNI_COMMAND: "GC" });
  assert.deepEqual([exitCode, code, bench.released], [1, 7, []]);
  assert.match(msg ?? "", /valid-attachments must be a list/);
});

test("GC leaves a container alone that is being added", async () => {
  const bench = new AgentBench();
  bench.holders.push(holder("abc", "10.65.0.1"));
  const adding = bench.answer();
  await bench.asked();
  const collected = await bench.answer({ CNI_COMMAND: "GC" }, { "cni.dev/valid-attachments": [] });
  assert.deepEqual([collected.exitCode, bench.released], [0, []]);
  await bench.program();
  assert.equal((await adding).exitCode, 0);
});

test("GC leaves alone what a container has of another network", async () => {
  const bench = new AgentBench();
  await bench.added();
  bench.holders.push(holder("abc", "10.65.0.9"));
  const collected = await bench.answer({ CNI_COMMAND: "GC" }, { "cni.dev/valid-attachments": [] });
  assert.deepEqual([collected.exitCode, bench.released], [0, ["net.abc"]]);
  assert.equal((await bench.answer({ CNI_COMMAND: "CHECK" })).exitCode, 0);
});

test("GC removes the interface of a pod that has ended, which tells of no address", async () => {
  const bench = new AgentBench();
  await bench.added();
  bench.holders.push(holder("abc", "10.65.0.1"));
  const { items } = await bench.datastore.list("WorkloadEndpoint");
  const [endpoint = assert.fail("no endpoint")] = items;
  await bench.datastore.update({ ...endpoint, spec: { ...endpoint.spec, ipNetworks: [] } });
  const { exitCode } = await bench.answer(
    { CNI_COMMAND: "GC" },
    { "cni.dev/valid-attachments": [] },
  );
  assert.deepEqual([exitCode, await bench.hostVeths()], [0, []]);
});

test("GC waits for a pod that is made anew, and leaves the new one alone", async () => {
  const bench = new AgentBench();
  await bench.added();
  bench.holders.push(holder("abc", "10.65.0.1"));
  await bench.pod.links.remove(2);
  const adding = bench.answer({ CNI_CONTAINERID: "anew" });
  const valid = [{ containerID: "anew", ifname: "eth0" }];
  const collecting = bench.answer({ CNI_COMMAND: "GC" }, { "cni.dev/valid-attachments": valid });
  await bench.program();
  assert.equal((await adding).exitCode, 0);
  assert.equal((await collecting).exitCode, 0);
  assert.deepEqual(bench.released, ["net.abc"]);
  const checked = await bench.answer({ CNI_COMMAND: "CHECK", CNI_CONTAINERID: "anew" });
  assert.equal(checked.exitCode, 0);
});

test("STATUS says why an ADD would fail, with code 50", async () => {
  const bench = new AgentBench();
  const status = () => bench.answer({ CNI_COMMAND: "STATUS" });
  assert.equal((await status()).exitCode, 0);
  bench.shortage = "pool p is full";
  const full = await status();
  assert.deepEqual([full.exitCode, full.code, full.details], [1, 50, "pool p is full"]);
  const locked = await new AgentBench([clusterInformation(false)]).answer({
    CNI_COMMAND: "STATUS",
  });
  assert.deepEqual([locked.exitCode, locked.code], [1, 50]);
  const elsewhere = await bench.answer({ CNI_COMMAND: "STATUS" }, { nodename: "node9" });
  assert.deepEqual([elsewhere.code, elsewhere.details], [50, 'got "node9"']);
  assert.match(`${locked.msg} ${locked.details}`, /datastoreReady/);
});

for (const command of ["CHECK", "GC", "STATUS"]) {
  test(`${command} is refused where the configuration's version does not have it`, async () => {
    const { code, msg } = await new AgentBench().answer(
      { CNI_COMMAND: command },
      { cniVersion: "0.3.1" },
    );
    assert.equal(code, 1);
    assert.match(msg ?? "", new RegExp(`${command}.*"0\\.3\\.1"`));
  });
}

test("calico-ipam gives addresses alone, and takes back what it gave", async () => {
  const bench = new AgentBench();
  const run = (command: string) =>
    bench.answer({ CNI_COMMAND: command, TORTIE_PLUGIN: "calico-ipam" });
  const added = await run("ADD");
  assert.deepEqual(added.ips, [{ address: "10.65.0.1/32" }]);
  assert.equal(added.interfaces, undefined);
  assert.equal((await run("CHECK")).code, 101);
  bench.holders.push(holder("abc", "10.65.0.1"));
  assert.equal((await run("CHECK")).exitCode, 0);
  assert.equal((await run("DEL")).exitCode, 0);
  assert.deepEqual(bench.released, ["net.abc", "default.web"]);
  assert.deepEqual(await bench.hostVeths(), []);
});

test("ADD of each plugin takes back a deletion of its container that waits", async () => {
  const bench = new AgentBench();
  await bench.answer({ TORTIE_PLUGIN: "calico-ipam" });
  await bench.added();
  assert.deepEqual(bench.forgotten, ["calico-ipam abc", "calico abc"]);
});

test("DEL leaves an interface alone whose other end is not the pod's", async () => {
  const bench = new AgentBench();
  await bench.added();
  bench.host.addLink(vethName("cali", "default", "other"), { type: "veth", linkIfindex: 99 });
  const { exitCode } = await bench.answer({
    CNI_COMMAND: "DEL",
    CNI_CONTAINERID: "xyz",
    CNI_ARGS: "K8S_POD_NAMESPACE=default;K8S_POD_NAME=other",
  });
  assert.equal(exitCode, 0);
  assert.equal((await bench.answer({ CNI_COMMAND: "CHECK" })).exitCode, 0);
});

test("ADD with policy_setup_timeout_seconds 0 does not wait for policy", async () => {
  const bench = new AgentBench();
  const { exitCode } = await bench.answer({}, { policy_setup_timeout_seconds: 0 });
  assert.deepEqual([exitCode, bench.offered.length], [0, 1]);
});

test("ADD with policy_setup_timeout_seconds goes on without policy after that time", async () => {
  const bench = new AgentBench();
  const answer = bench.answer({}, { policy_setup_timeout_seconds: 2 });
  await bench.asked();
  bench.clock.advance(2_000);
  assert.equal((await answer).exitCode, 0);
  assert.match(bench.logged.join(""), /before its policy is in the kernel/);
  assert.equal(bench.stored().length, 1);
});

test("ADD with require_mtu_file is refused until the node has written it", async () => {
  const bench = new AgentBench(undefined, { mtu: 0 });
  const { code, msg } = await bench.answer({}, { require_mtu_file: true });
  assert.equal(code, 11);
  assert.match(msg ?? "", /MTU/);
});

test("ADD waits for each readiness gate", async () => {
  const bench = new AgentBench();
  const answer = bench.answer({}, { readiness_gates: ["http://open", "http://closed"] });
  for (let tries = 0; tries < 6; tries++) {
    await new Promise(setImmediate);
    bench.clock.advance(5_000);
  }
  const { code, details } = await answer;
  assert.deepEqual([code, details], [11, "http://closed"]);
  assert.deepEqual(await bench.hostVeths(), []);
});

test("ADD for another node is refused", async () => {
  const { code, msg, details } = await new AgentBench().answer({}, { nodename: "node2" });
  assert.equal(code, 7);
  assert.match(`${msg} ${details}`, /nodename.*"node1".*"node2"/);
  const same = new AgentBench();
  assert.equal((await same.added({}, { nodename: "Node1" })).exitCode, 0);
});

test("the result has what the plugin before us left, and ours behind it", async () => {
  const prevResult = {
    cniVersion: "1.1.0",
    interfaces: [{ name: "lo", sandbox: "/run/netns/x" }],
    ips: [{ address: "127.0.0.1/8", interface: 0 }],
    routes: [{ dst: "10.0.0.0/8" }],
    dns: { nameservers: ["10.0.0.10"] },
  };
  const { exitCode: _, ...result } = await new AgentBench().added({}, { prevResult });
  assert.deepEqual(result, {
    ...prevResult,
    interfaces: [
      ...prevResult.interfaces,
      { name: "cali68caf03a5f4", mac: "ee:ee:ee:ee:ee:ee" },
      { name: "eth0", mac: "fe:ff:ff:ff:ff:ff", sandbox: "/run/netns/x", mtu: 1450 },
    ],
    ips: [...prevResult.ips, { interface: 2, address: "10.65.0.1/32" }],
  });
});

test("in Kubernetes labels, account and annotations are the pod's own", async () => {
  const stored: AnyResource = {
    apiVersion: "projectcalico.org/v3",
    kind: "WorkloadEndpoint",
    metadata: {
      name: "node1-k8s-web-eth0",
      namespace: "default",
      labels: { app: "web" },
      annotations: { "cni.projectcalico.org/hwAddr": "02:00:00:00:00:aa" },
    },
    spec: {
      orchestrator: "k8s",
      node: "node1",
      pod: "web",
      endpoint: "eth0",
      serviceAccountName: "builder",
      profiles: ["kns.default", "ksa.default.builder"],
      interfaceName: "cali68caf03a5f4",
    },
  };
  const bench = new AgentBench([clusterInformation(true), stored], { podsAreStored: true });
  const args = { args: { cni: { labels: [{ key: "app", value: "forged" }] } } };
  assert.equal((await bench.added({}, args)).exitCode, 0);
  const [offered] = bench.offered;
  assert.equal(offered?.metadata.labels?.["app"], "web");
  assert.equal(offered?.spec.serviceAccountName, "builder");
  assert.deepEqual(offered?.spec.ipNetworks, ["10.65.0.1/32"]);
  assert.equal(offered?.spec.mac, "02:00:00:00:00:aa");
});

test("in Kubernetes a pod that it does not have is to be tried again", async () => {
  const bench = new AgentBench(undefined, { podsAreStored: true });
  const { code, msg } = await bench.answer();
  assert.equal(code, 11);
  assert.match(msg ?? "", /Cannot find the pod default\/web/);
});

test("containers without Kubernetes have a profile of their network, which is made where there is none", async () => {
  const key = { kind: "Profile", name: "net" } as const;
  const profilesOf = async (bench: AgentBench) => {
    const { items } = await bench.datastore.list("WorkloadEndpoint");
    return items.map(({ spec }) => spec.profiles);
  };
  const bench = new AgentBench();
  assert.equal((await bench.added({ CNI_ARGS: "" })).exitCode, 0);
  assert.deepEqual(await profilesOf(bench), [["net"]]);
  const { spec } = await bench.datastore.get(key);
  assert.deepEqual(spec, {
    ingress: [{ action: "Allow", source: { selector: "has(net)" } }],
    egress: [{ action: "Allow" }],
    labelsToApply: { net: "" },
  });
  const other = new AgentBench();
  assert.equal((await other.added({ CNI_ARGS: "" }, { policy: { type: "k8s" } })).exitCode, 0);
  assert.deepEqual(await profilesOf(other), [["net"]]);
  await assert.rejects(other.datastore.get(key), /net/);
});
