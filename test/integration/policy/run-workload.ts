import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Background } from "../../support/lab.ts";
import { waitFor } from "../../support/wait-for.ts";
import { calico, fromClient, policy, toServer } from "./calico-manifests.ts";
import { ForbiddenTraffic } from "./forbidden-traffic.ts";
import { PolicyLab } from "./policy-lab.ts";

const iperfPort = 5201;
const streams = 10;
/** Streams go on for so long after the last change. */
const secondsAfter = 3;
const connectionsPerSecond = 200;
/** Of each stream: enough to see a break, little enough for two slow cores. */
const bitsPerSecond = "10M";

/** What none of the changes allows or forbids otherwise. */
const lasting =
  toServer("{action: Allow, source: {selector: app == 'client'}}") +
  policy(
    "selector: app == 'other', types: [Ingress], ingress: [{action: Allow, source: {selector: tier == 'front'}}]",
    "other",
  );

/** Other policies on the same pods, of all that makes chains and sets come and go. */
const changes: readonly string[] = [
  policy(
    "order: 1, selector: has(app), types: [Ingress], ingress: [{action: Allow, source: {selector: tier == 'front'}}]",
    "churn",
  ),
  policy(
    "order: 1, selector: app == 'server', types: [Ingress], ingress: [{action: Deny, protocol: TCP, destination: {ports: [1, \"7:9\", web]}, source: {selector: app == 'absent'}}]",
    "churn",
  ),
  calico(
    "GlobalNetworkSet",
    "name: churn, labels: {role: churn}",
    "nets: [198.51.100.0/24, 203.0.113.0/24]",
  ) +
    policy(
      "order: 2, selector: all(), types: [Ingress, Egress], ingress: [{action: Deny, source: {namespaceSelector: global(), selector: role == 'churn'}}], egress: [{action: Allow}]",
      "churn",
    ),
  policy(
    "order: 3, selector: app == 'other', types: [Egress], egress: [{action: Allow}]",
    "churn",
  ) +
    fromClient("{action: Allow, destination: {selector: has(app)}}").replace(
      "name: p",
      "name: out",
    ),
  calico("Tier", "name: churn", "order: 10, defaultAction: Pass") +
    calico(
      "GlobalNetworkPolicy",
      "name: churn.p",
      "tier: churn, selector: has(app), types: [Ingress], ingress: [{action: Log, protocol: 254}, {action: Pass}]",
    ),
];

/** Real work of pods on one node, through as many changes of policy as are asked for. */
export function runWorkload(of: { readonly seconds: number; readonly changes: number }): void {
  const lab = new PolicyLab("pw", { FELIX_IPTABLESBACKEND: "nft" });
  before(() => lab.start());
  after(() => lab.close());

  test(`${of.changes} changes of policy in ${of.seconds} s break nothing that is allowed, let nothing else pass`, async (context) => {
    await lab.use({ manifests: lasting });
    const iperf = await startIperf(lab, of.seconds + secondsAfter);
    context.after(() => Promise.all([iperf.client.stop("SIGKILL"), iperf.server.stop("SIGKILL")]));
    const traffic = ["dev -> server tcp/80", "other -> server udp/53", "dev -> other tcp/80"].map(
      (probe) => new ForbiddenTraffic(lab, probe),
    );
    context.after(() => Promise.all(traffic.map((each) => each.stop())));
    const connections = new ShortConnections(lab, [
      "client -> server tcp/80",
      "client -> other tcp/80",
    ]);
    context.after(() => connections.stop());
    const started = performance.now();
    for (let i = 0; i < of.changes; i++) {
      await lab.useBesides(changes[i % changes.length] ?? "");
      await delay(
        Math.max(0, started + ((i + 1) * of.seconds * 1000) / of.changes - performance.now()),
      );
    }
    const tookMs = performance.now() - started;
    await connections.stop();
    for (const each of traffic) await each.stop();
    const sent = traffic.reduce((sum, each) => sum + each.sent, 0);
    context.diagnostic(
      `${of.changes} changes in ${(tookMs / 1000).toFixed(1)} s; ${connections.opened} connections, ${sent} forbidden packets`,
    );
    assert.deepEqual(connections.broken, []);
    assert.deepEqual(
      traffic.flatMap((each) => each.passedAt),
      [],
    );
    assert.deepEqual(lab.strays(), []);
    const report: IperfReport = JSON.parse(await iperf.client.end());
    assert.equal(report.error, undefined);
    // The changes are over by then: a stream that they had broken would stand still.
    const last = report.intervals.slice(-secondsAfter).flatMap((interval) => interval.streams);
    const moved = Map.groupBy(last, ({ socket }) => socket);
    assert.equal(moved.size, streams);
    for (const [socket, parts] of moved) {
      assert.ok(
        parts.some(({ bytes }) => bytes > 0),
        `stream ${socket} stands still`,
      );
    }
    const megabytes = report.end.sum_received.bytes / 1e6;
    context.diagnostic(`${streams} streams carried ${megabytes.toFixed(0)} MB`);
  });
}

/** What iperf3 writes about itself, as far as we read it. */
interface IperfReport {
  readonly error?: string;
  /** Of a second each. */
  readonly intervals: readonly {
    readonly streams: readonly { readonly socket: number; readonly bytes: number }[];
  }[];
  readonly end: { readonly sum_received: { readonly bytes: number } };
}

async function startIperf(lab: PolicyLab, seconds: number) {
  const server = new Background(lab.netnsOf("server"), "iperf3", "-s", "-1", "--forceflush");
  await waitFor(() => server.output.includes("listening"), { what: "iperf3" });
  const client = new Background(
    lab.netnsOf("client"),
    ...["iperf3", "-c", "10.0.0.2", "-p", `${iperfPort}`, "-P", `${streams}`],
    ...["-t", `${seconds}`, "-b", bitsPerSecond, "--json"],
  );
  return { server, client };
}

/** Each opens its part of the connections at a steady pace: one that waits does not hold up the others. */
const lanes = 4;

/** Opens connections at a steady pace, each new. */
class ShortConnections {
  readonly broken: string[] = [];
  readonly #ended: Promise<unknown>;
  opened = 0;
  #stopped = false;

  constructor(lab: PolicyLab, probes: readonly string[]) {
    const each = Array.from({ length: lanes }, () => this.#open(lab, probes));
    this.#ended = Promise.all(each);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#ended;
  }

  async #open(lab: PolicyLab, probes: readonly string[]): Promise<void> {
    const started = performance.now();
    for (let opened = 1; !this.#stopped; opened++) {
      const probe = probes[opened % probes.length] ?? "";
      const family = opened % 4 < 2 ? 4 : 6;
      if (!(await lab.passes(probe, true, family))) this.broken.push(`${probe} in IPv${family}`);
      this.opened++;
      const dueMs = (opened * lanes * 1000) / connectionsPerSecond;
      await delay(Math.max(0, started + dueMs - performance.now()));
    }
  }
}
