import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { PathKeys } from "../../../src/paths/keys.ts";
import { Listeners } from "../../../src/paths/listeners.ts";
import { PeerBook } from "../../../src/paths/peers.ts";
import { Responder } from "../../../src/paths/responder.ts";
import { UdpEndpoint } from "../../../src/paths/udp-endpoint.ts";
import { freePort } from "../../support/etcd-server.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const address = parseIpAddr("127.0.0.1");

test("a port that somebody else has is tried again, until it is free", async (t) => {
  const port = await freePort();
  const listen = () => new UdpEndpoint({ address, port }, { datagram: () => undefined });
  const other = listen();
  const clock = new FakeClock();
  const peers = new PeerBook("node1");
  const state = async () => ({ checksumErrors: { udp: 0, tcp: 0 }, tunnels: [] });
  const responder = new Responder({ keys: new PathKeys(), peers, clock, state });
  const log = createLogger({ name: "test", level: "silent" });
  const listeners = new Listeners({ port, peers, responder, clock, log });
  t.after(() => listeners.close());
  listeners.listenAt([address]);
  other.close();
  clock.advance(10_000);
  assert.throws(listen, /already in use/);
  await listeners.close();
  listen().close();
  assert.equal(clock.pendingTimers, 0);
});
