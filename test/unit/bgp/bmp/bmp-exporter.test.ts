import assert from "node:assert/strict";
import { once } from "node:events";
import { suite, type TestContext, test } from "node:test";
import { BmpExporter, type BmpExporterDeps } from "../../../../src/bgp/bmp/bmp-exporter.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { BmpCollector } from "../../../support/bmp-collector.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { packMany } from "../../../support/packed-prefixes.ts";
import { waitFor } from "../../../support/wait-for.ts";
import { FedSpeaker } from "./fed-speaker.ts";

const peer = "192.0.2.2";
const localhost = "127.0.0.1" as IpAddr;

/** An exporter that runs until the test ends. */
function exporting(context: TestContext, more: Partial<BmpExporterDeps> = {}) {
  const fed = new FedSpeaker([{ address: peer, asn: 65_001 }]);
  const stop = new AbortController();
  const log = createLogger({ name: "test", level: "silent" });
  const running = { speaker: fed.speaker, host: fed };
  const exporter = new BmpExporter({ running, clock: systemClock, log, ...more });
  const ended = exporter.run(stop.signal);
  context.after(async () => {
    stop.abort();
    await ended;
  });
  return { fed, exporter, stop, ended };
}

async function collecting(
  context: TestContext,
): Promise<{ collector: BmpCollector; port: number }> {
  const collector = new BmpCollector();
  const port = await collector.listen();
  context.after(() => collector.close());
  return { collector, port };
}

suite("BmpExporter", () => {
  test("tells a collector what was before it came and what happens then, and says goodbye", async (context) => {
    const { fed, exporter, stop, ended } = exporting(context);
    const { collector, port } = await collecting(context);
    fed.up(peer);
    fed.announce(peer, "10.0.0.0/8");
    exporter.configure([{ address: localhost, port }]);
    await waitFor(() => collector.last?.ended.includes(`${peer} 4`), { what: "End-of-RIB" });
    fed.announce(peer, "10.1.0.0/16");
    await waitFor(() => collector.last?.routes.get(peer)?.size === 2, { what: "both routes" });
    stop.abort();
    await ended;
    await waitFor(() => collector.last?.messages.at(-1)?.type === "termination");
    const types = new Set(collector.last?.messages.map(({ type }) => type));
    assert.deepEqual([...types], ["initiation", "peerUp", "routes", "termination"]);
    assert.deepEqual(collector.last?.messages.at(-1), {
      type: "termination",
      words: "The speaker ends",
      reason: 0,
    });
  });

  test("a collector that was away is told all anew", async (context) => {
    const clock = new FakeClock();
    const { fed, exporter } = exporting(context, { clock });
    const { collector, port } = await collecting(context);
    fed.up(peer);
    exporter.configure([{ address: localhost, port }]);
    await waitFor(() => collector.last?.routes.has(peer));
    fed.announce(peer, "10.0.0.0/8");
    await waitFor(() => collector.last?.routes.get(peer)?.size === 1);
    collector.sockets[0]?.destroy();
    await waitFor(() => {
      clock.advance(2000);
      return collector.readers.length === 2 && collector.last?.ended.includes(`${peer} 4`);
    });
    assert.deepEqual([...(collector.last?.routes.get(peer)?.keys() ?? [])], ["10.0.0.0/8"]);
  });

  test("a collector that does not read is let go at the limit", async (context) => {
    const { fed, exporter } = exporting(context, { maxQueuedBytes: 100_000 });
    const { collector, port } = await collecting(context);
    collector.isDeaf = true;
    fed.up(peer);
    exporter.configure([{ address: localhost, port }]);
    const socket = await waitFor(() => collector.sockets[0]);
    const ended = once(socket, "close");
    const prefixes = packMany(800);
    const patience = { timeoutMs: 60_000, what: "the end of a connection that nobody reads" };
    await waitFor(() => {
      for (let times = 0; times < 100; times++) fed.announce(peer, prefixes);
      return exporter.connected === 0;
    }, patience);
    // The end is seen behind what was sent before it.
    socket.resume();
    await ended;
  });

  test("the list of collectors may change: who stays is not interrupted", async (context) => {
    const { fed, exporter } = exporting(context);
    const [one, two] = [await collecting(context), await collecting(context)];
    const address = localhost;
    exporter.configure([{ address, port: one.port }]);
    await waitFor(() => one.collector.last?.messages.length === 1);
    exporter.configure([
      { address, port: one.port },
      { address, port: two.port },
    ]);
    await waitFor(() => two.collector.last?.messages.length === 1);
    exporter.configure([{ address, port: two.port }]);
    await waitFor(() => one.collector.last?.messages.at(-1)?.type === "termination");
    fed.up(peer);
    await waitFor(() => two.collector.last?.routes.has(peer));
    assert.deepEqual([one.collector.readers.length, two.collector.readers.length], [1, 1]);
  });

  test("statistics come at their time", async (context) => {
    const clock = new FakeClock();
    const { fed, exporter } = exporting(context, { clock, statisticsMs: 60_000 });
    const { collector, port } = await collecting(context);
    fed.up(peer);
    exporter.configure([{ address: localhost, port }]);
    await waitFor(() => collector.last?.routes.has(peer));
    const count = () =>
      collector.last?.messages.filter(({ type }) => type === "statistics").length ?? 0;
    clock.advance(59_000);
    clock.advance(1000);
    await waitFor(() => count() === 1);
    clock.advance(60_000);
    await waitFor(() => count() === 2);
  });
});
