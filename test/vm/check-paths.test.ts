import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import { askControl } from "../../src/cli/control-client.ts";
import type { PathReport } from "../../src/paths/run-check.ts";
import { pool, profile } from "../states/resources.ts";
import { waitFor } from "../support/wait-for.ts";
import { reaches, TwoSegments } from "./segments.ts";

/** Path checks of what only this kernel has: IPIP, WireGuard, and a slow network (netem). */

const segments = new TwoSegments("paths", { FELIX_PATHCHECKS: "Enabled" });
const { a, b, router, datastore, folder } = segments;
const timeoutMs = 180_000;

before(() =>
  segments.start(
    [pool("default", "10.0.0.0/16", { ipipMode: "CrossSubnet" }), profile("kns.prod")],
    ({ nodeAddress, tunnelAddress }) => ({
      bgp: { ipv4Address: `${nodeAddress}/24`, ipv4IPIPTunnelAddr: tunnelAddress },
      wireguard: { interfaceIPv4Address: tunnelAddress },
    }),
  ),
);
after(() => segments.close());

/** Checks node-b from node-a until the report is so: this machine is slow, and a tunnel takes its time. */
function checked(what: string, isSo: (report: PathReport) => boolean): Promise<PathReport> {
  const path = join(folder, a.name, "paths.sock");
  const request = {
    request: "check-paths",
    nodes: [b.node],
    throughput: false,
    dryRun: false,
  } as const;
  let last: PathReport | undefined;
  return waitFor(
    async () => {
      for await (const row of askControl(path, request)) last = row as PathReport;
      return last !== undefined && isSo(last) ? last : undefined;
    },
    { timeoutMs, what: `${what}, not ${JSON.stringify(last)}`, intervalMs: 500 },
  );
}

/** The largest packets of each path, by what carries it; undefined: no answer. */
function sizes({ peers: [peer] }: PathReport) {
  return Object.fromEntries(
    (peer?.paths ?? []).map(({ path, mtu }) => [path.carrier, mtu?.back?.largest]),
  );
}

const says = (text: RegExp) => (report: PathReport) =>
  report.findings.some((finding) => text.test(finding.text));

test("a path through tunl0 is sound, also where the network is slow", async () => {
  const isSound = (report: PathReport) =>
    report.findings.length === 0 && sizes(report)["ipip"] === 1480;
  const report = await checked("a sound tunnel", isSound);
  assert.deepEqual(sizes(report), { underlay: 1500, ipip: 1480 });
  router.run("tc", ["qdisc", "add", "dev", "seg2", "root", "netem", "delay", "150ms", "20ms"]);
  const slow = await checked("a sound tunnel", isSound);
  assert.ok(slow.peers[0]?.paths.every(({ roundTripMs = 0 }) => roundTripMs > 100));
  router.run("tc", ["qdisc", "del", "dev", "seg2", "root"]);
});

test("IP protocol 4 that is filtered is named", async () => {
  const rule = ["FORWARD", "-p", "4", "-j", "DROP"];
  router.run("iptables", ["-I", ...rule]);
  await checked("the filter", says(/^IP protocol 4 is filtered between node-a and node-b: of 3 /));
  router.run("iptables", ["-D", ...rule]);
});

test("with WireGuard the tunnel is WireGuard's, and a filtered UDP 51820 is named", async () => {
  await datastore.create({
    apiVersion: "projectcalico.org/v3",
    kind: "FelixConfiguration",
    metadata: { name: "default" },
    spec: { wireguardEnabled: true },
  } as AnyResource as never);
  await waitFor(
    () =>
      a.netns.ip("route show table all dev wireguard.cali type unicast").includes(b.block) &&
      reaches(a.podNetns, b.podAddress),
    { timeoutMs, what: "the tunnel" },
  );
  await checked("a sound tunnel", (report) => sizes(report)["wireguard"] === 1440);
  router.run("iptables", ["-I", "FORWARD", "-p", "udp", "--dport", "51820", "-j", "DROP"]);
  await checked("the filter", says(/^UDP 51820 is filtered between node-a and node-b/));
});
