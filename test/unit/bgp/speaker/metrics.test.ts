import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { pino } from "pino";
import { serveSpeakerMetrics } from "../../../../src/bgp/speaker/serve-speaker-metrics.ts";
import { pack } from "../../../support/packed-prefixes.ts";
import { parsePrometheusText, type Sample } from "../../../support/prometheus-text.ts";
import { waitFor } from "../../../support/wait-for.ts";
import { FakeRunning, secretNeighbor } from "../control/running.ts";

const running = new FakeRunning([
  secretNeighbor,
  { address: "10.0.0.3", asn: 64512 },
  { address: "fd00::2", asn: 64512, config: { families: [6] } },
]);
const logged: string[] = [];
const log = pino({}, { write: (line: string) => logged.push(line) });
const stop = new AbortController();
let served: Promise<void>;
let port = 0;
let samples: readonly Sample[] = [];
let text = "";

/** The one value with these labels. */
function value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
  const found = samples.filter(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([key, wanted]) => sample.labels[key] === wanted),
  );
  assert.ok(found.length <= 1, `${name} has ${found.length} such values`);
  return found[0]?.value;
}

before(async () => {
  const announced = [{ prefixes: pack("10.65.0.0/26", "10.65.1.0/26"), nextHop: "10.0.0.2" }];
  const attributes = { origin: 0, asPath: [], localPref: 100 };
  const update = { kind: "update", withdrawn: [], announced, attributes, endOfRib: [] } as never;
  running.post({ kind: "peer", event: { kind: "update", name: "Static_10_0_0_2", update } });
  await new Promise<void>((resolve) => {
    const config = { address: "127.0.0.1", port: 0 };
    served = serveSpeakerMetrics(config, { running, log }, (bound) => {
      port = bound;
      resolve();
    })(stop.signal);
  });
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  text = await response.text();
  samples = parsePrometheusText(text);
});

after(async () => {
  stop.abort();
  await served;
});

describe("what Prometheus is told", () => {
  test("totals, by Calico's names", () => {
    assert.equal(value("bgp_peers", { ip_version: "IPv4", status: "Established" }), 2);
    assert.equal(value("bgp_peers", { ip_version: "IPv6", status: "Established" }), 1);
    assert.equal(value("bgp_routes_imported", { ip_version: "IPv4" }), 2);
    assert.equal(value("bgp_routes_imported", { ip_version: "IPv6" }), 0);
    assert.equal(value("bgp_route_updates_received", { ip_version: "IPv4" }), 14);
  });

  test("each session: state, routes, messages, flaps, last error", () => {
    const peer = "Static_10_0_0_2";
    assert.equal(value("bgp_peer_state", { peer, state: "Established", asn: "64512" }), 1);
    assert.equal(value("bgp_peer_up", { peer }), 1);
    assert.equal(value("bgp_peer_prefixes_received", { peer, ip_version: "IPv4" }), 2);
    assert.equal(
      value("bgp_peer_prefixes_sent", { peer: "Static_10_0_0_3", ip_version: "IPv4" }),
      2,
    );
    assert.equal(value("bgp_peer_messages_received_total", { peer, type: "update" }), 7);
    assert.equal(value("bgp_peer_flaps_total", { peer }), 2);
    const malformed = (handling: string) =>
      value("bgp_peer_malformed_updates_total", { peer, handling });
    assert.deepEqual([malformed("treat-as-withdraw"), malformed("attribute-discard")], [4, 5]);
    assert.equal(value("bgp_peer_last_error", { peer, error: 'Cease: "later"' }), 1);
    assert.doesNotMatch(text, /tell no one/);
  });

  test("the process: event loop, memory, processor", () => {
    assert.ok((value("nodejs_eventloop_lag_max_seconds") ?? -1) >= 0);
    assert.ok((value("process_resident_memory_bytes") ?? 0) > 1_000_000);
    assert.ok((value("process_cpu_seconds_total") ?? 0) > 0);
  });

  test("where it cannot listen, that is logged and nothing ends", async () => {
    const own = new AbortController();
    const config = { address: "127.0.0.1", port };
    const refused = serveSpeakerMetrics(config, { running, log })(own.signal);
    await waitFor(() => logged.length > 0);
    assert.match(logged[0] ?? "", /EADDRINUSE.*Cannot serve metrics/);
    own.abort();
    await refused;
  });

  test("nothing else is answered", async () => {
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404);
    assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`, { method: "POST" })).status, 404);
  });
});
