import assert from "node:assert/strict";
import { test } from "node:test";
import type { PeerConfig } from "../../../../src/bgp/peer/peer.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { Network } from "./network.ts";
import { plainSpeaker } from "./plain.ts";

const [teller, hearer] = ["192.168.1.1", "192.168.1.2"];
const name = "Static_192_168_1_1";
const prefix = "10.0.1.0/24";

/** `hearer` keeps what `teller` has told, as its session is lost. */
function lostTeller(longLivedSeconds = 0): Network {
  const network = new Network();
  network.add("teller", teller);
  network.add("hearer", hearer);
  const originated = [parsePrefix(prefix)];
  const peers = [{ address: hearer, asn: 65001 }];
  const config = plainSpeaker({ address: teller, asn: 65001 }, peers, { originated });
  network.host("teller").post({ kind: "configured", config });
  configure(network, {});
  network.connect({ longLivedSeconds });
  network.cut("teller", "hearer", true);
  assert.equal(network.host("hearer").routeTo(prefix), `via ${teller}`);
  return network;
}

function configure(network: Network, config: Partial<PeerConfig>): void {
  const peers = [{ address: teller, asn: 65001, config }];
  const speaker = plainSpeaker({ address: hearer, asn: 65001 }, peers);
  network.host("hearer").post({ kind: "configured", config: speaker });
  network.settle();
}

test("A shutdown ends at once what is kept of a peer without a session", () => {
  const network = lostTeller();
  const at = network.host("hearer");
  at.post({ kind: "shutDown", name });
  network.settle();
  assert.equal(at.routeTo(prefix), undefined);
  assert.equal(at.timers.has(`stale ${name}`), false);
});

test("A shutdown ends what is kept for long, too", () => {
  const network = lostTeller(600);
  const at = network.host("hearer");
  network.expire("hearer", `stale ${name}`);
  assert.equal(at.routeTo(prefix), `via ${teller}`);
  at.post({ kind: "shutDown", name });
  network.settle();
  assert.equal(at.routeTo(prefix), undefined);
  assert.equal(at.timers.has(`longLived ${name} 4`), false);
});

test("A configuration that shuts a peer down ends what is kept of it, another one does not", () => {
  const network = lostTeller();
  const at = network.host("hearer");
  configure(network, { holdSeconds: 30 });
  assert.equal(at.routeTo(prefix), `via ${teller}`);
  configure(network, { holdSeconds: 30, shutdown: { message: "" } });
  assert.equal(at.routeTo(prefix), undefined);
});

test("A configuration that shuts down a peer with a session keeps nothing of it", () => {
  const network = lostTeller();
  const at = network.host("hearer");
  network.connect();
  configure(network, { shutdown: { message: "" } });
  assert.equal(at.routeTo(prefix), undefined);
  network.cut("teller", "hearer", false);
  configure(network, {});
  network.connect();
  assert.equal(at.routeTo(prefix), `via ${teller}`);
});

test("A speaker that starts does not wait for a peer that is shut down", () => {
  const network = new Network();
  network.add("hearer", hearer);
  configure(network, { shutdown: { message: "" } });
  assert.equal(network.host("hearer").converged, true);
});

test("A speaker does not wait any longer for a peer that is shut down meanwhile", () => {
  const network = new Network();
  network.add("hearer", hearer);
  configure(network, {});
  assert.equal(network.host("hearer").converged, false);
  network.host("hearer").post({ kind: "shutDown", name });
  assert.equal(network.host("hearer").converged, true);
});
