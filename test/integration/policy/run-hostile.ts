import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { IpFamily } from "../../../src/lib/ip-addr.ts";
import { SteadyPing } from "../../support/steady-ping.ts";
import { waitFor } from "../../support/wait-for.ts";
import { fromClient, toServer } from "./calico-manifests.ts";
import { ruleCases } from "./calico-rule-cases.ts";
import { setCases } from "./calico-set-cases.ts";
import { ForbiddenTraffic } from "./forbidden-traffic.ts";
import { ForeignWriter } from "./foreign-writer.ts";
import { kubernetesCases } from "./kubernetes-cases.ts";
import { PolicyLab } from "./policy-lab.ts";

/** What others do to the kernel, or felix' own end, while packets are on their way. */

const families: readonly IpFamily[] = [4, 6];
const friendsOnly = {
  manifests: toServer("{action: Allow, source: {selector: app == 'client'}}"),
};
const forbidden = "other -> server udp/53";
const allowed = "client -> server udp/53";
/** Of every kind of rule some. */
const casesUnderWriting = 16;

export function runHostile(backend: "nft" | "legacy"): void {
  // On nft it must be seen that the kernel tells of a change.
  const refreshes = backend === "legacy";
  const lab = new PolicyLab(`ph${backend}`, {
    FELIX_IPTABLESBACKEND: backend,
    FELIX_DEFAULTENDPOINTTOHOSTACTION: backend === "nft" ? "ACCEPT" : "RETURN",
    ...(refreshes ? { FELIX_IPSETSREFRESHINTERVAL: "1", FELIX_IPTABLESREFRESHINTERVAL: "1" } : {}),
  });
  before(() => lab.start());
  after(() => lab.close());

  test("defaultEndpointToHostAction lets pods reach their host, as far as their own policy does", async () => {
    await lab.use({
      manifests: fromClient("{action: Allow, protocol: TCP, destination: {ports: [80]}}"),
    });
    const wrongs = await lab.wrongs({
      says: "",
      manifests: "",
      passes: ["client -> host tcp/80", "server -> host tcp/81"],
      drops: ["client -> host tcp/81"],
    });
    assert.deepEqual(wrongs, []);
  });

  test("established connections live on when what would begin anew is forbidden, and end with the pod", async () => {
    await lab.use(friendsOnly);
    const streams = [];
    for (const family of families)
      streams.push(await lab.openStream("client", "server", 90, family));
    for (const manifests of [toServer("{action: Deny}"), "", toServer("{action: Log}")]) {
      await lab.use({ manifests });
      for (const stream of streams) assert.equal(await stream.works(), true, manifests);
    }
    assert.equal(await lab.passes("client -> server tcp/90", false, 4), false);
    await lab.use({
      manifests: "",
      changes: { "WorkloadEndpoint/prod/node--a-k8s-server-eth0": null },
    });
    for (const stream of streams) {
      assert.equal(await stream.works(100), false, "the endpoint is gone");
      stream.close();
    }
  });

  test("while another program writes iptables, packets do as policies say", async (context) => {
    const writer = new ForeignWriter(lab.felix.netns, backend);
    context.after(() => writer.stop());
    await waitFor(() => writer.writes > 0, { what: "the writer" });
    for (const one of every(kubernetesCases.concat(ruleCases, setCases), casesUnderWriting)) {
      await lab.use(one);
      assert.deepEqual(await lab.wrongs(one), [], one.says);
    }
    context.diagnostic(`${writer.writes} rounds of the other program`);
    const chains = await writer.stop();
    assert.match(chains.join("\n"), /^:FOREIGN - .*\n:FOREIGN-SERVICES - /m, "its chains");
  });

  test("felix is killed and started: nothing allowed is lost, nothing forbidden passes", async (context) => {
    await lab.use(friendsOnly);
    for (const family of families) assert.equal(await lab.passes(allowed, true, family), true);
    const pings = [
      new SteadyPing("the server", lab.netnsOf("client"), "10.0.0.2"),
      new SteadyPing("the server by IPv6", lab.netnsOf("client"), "fd00:10::2"),
    ];
    const stream = await lab.openStream("client", "server", 91, 4);
    context.after(() => Promise.all(pings.map((ping) => ping.stop())));
    for (const ping of pings) await ping.answers();
    const traffic = new ForbiddenTraffic(lab, forbidden);
    context.after(() => traffic.stop());
    await lab.felix.stop("SIGKILL");
    assert.equal(await stream.works(), true, "without felix");
    await lab.felix.start();
    assert.equal(await stream.works(), true, "with felix again");
    await traffic.stop();
    for (const ping of pings) assert.deepEqual(await ping.lost(), [], ping.what);
    assert.deepEqual(traffic.passedAt, []);
    stream.close();
    context.diagnostic(`${traffic.sent} forbidden packets were sent`);
  });

  test("iptables -F of every chain is repaired", async (context) => {
    await lab.use(friendsOnly);
    const traffic = new ForbiddenTraffic(lab, forbidden);
    context.after(() => traffic.stop());
    await waitFor(() => traffic.sent > 10, { what: "traffic" });
    const flushed = performance.now();
    for (const program of ["iptables", "ip6tables"]) lab.felix.run(`${program}-${backend}`, "-F");
    await waitFor(() => isRepaired(lab, backend), { what: "the repair" });
    const repairedMs = performance.now() - flushed;
    const passedBefore = traffic.passedAt.length;
    const sentBefore = traffic.sent;
    await waitFor(() => traffic.sent > sentBefore + 20, { what: "traffic" });
    await traffic.stop();
    assert.equal(traffic.passedAt.length, passedBefore, "nothing passes after the repair");
    for (const family of families) assert.equal(await lab.passes(allowed, true, family), true);
    const openMs = Math.max(0, ...traffic.passedAt.map((at) => at - flushed));
    context.diagnostic(
      `repaired in ${repairedMs.toFixed(0)} ms; of ${traffic.sent} forbidden packets ${passedBefore} passed, the last ${openMs.toFixed(0)} ms after the flush`,
    );
  });

  test("IP sets that are destroyed are there again", async () => {
    await lab.use(friendsOnly);
    await waitFor(() => usedSets(lab).length === 2, { what: "the end of other sets" });
    for (const name of usedSets(lab)) {
      // Felix may be faster, and its rules name the set again.
      await waitFor(() => destroyed(lab, backend, name), { what: `the end of ${name}` });
    }
    for (const family of families) {
      await waitFor(() => lab.passes(allowed, false, family), { what: "the sets" });
      const isClosed = async () => !(await lab.passes(forbidden, false, family));
      await waitFor(isClosed, { what: "the rules" });
    }
  });

  if (!refreshes) return;
  test("IP sets that are emptied are filled again within IpsetsRefreshInterval", async () => {
    await lab.use(friendsOnly);
    for (const name of usedSets(lab)) lab.felix.run("ipset", "flush", name);
    for (const family of families) {
      await waitFor(() => lab.passes(allowed, false, family), { what: "the members" });
      assert.equal(await lab.passes(forbidden, false, family), false);
    }
  });
}

function usedSets(lab: PolicyLab): string[] {
  const names = lab.felix.run("ipset", "list", "-name").trim().split("\n");
  return names.filter((name) => /^cali[46]0s:/.test(name));
}

function destroyed(lab: PolicyLab, backend: string, set: string): boolean {
  for (const program of ["iptables", "ip6tables"]) lab.felix.run(`${program}-${backend}`, "-F");
  try {
    lab.felix.run("ipset", "destroy", set);
    return true;
  } catch {
    return false;
  }
}

function isRepaired(lab: PolicyLab, backend: string): boolean {
  return ["iptables", "ip6tables"].every((program) => {
    const rules = lab.felix.run(`${program}-${backend}-save`, "-t", "filter");
    return rules.includes("-j cali-FORWARD") && rules.includes("-A cali-tw-caliserver");
  });
}

/** So many of them, evenly. */
function every<Item>(items: readonly Item[], count: number): Item[] {
  const step = items.length / count;
  return Array.from({ length: count }, (_, i) => items[Math.floor(i * step)]).filter(
    (item) => item !== undefined,
  );
}
