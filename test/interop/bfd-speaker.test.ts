import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { bgpAnnotations } from "../../src/api/bgp-annotations.ts";
import { calicoApiVersion } from "../../src/api/meta.ts";
import {
  type BgpNode,
  established,
  openTestStore,
  startBgpNode,
  type TestStore,
} from "../integration/bgp-node.ts";
import {
  type Bird,
  cannotRunBird,
  makeNamespacePair,
  type NamespacePair,
  startBird,
} from "../support/bird.ts";
import { waitFor } from "../support/wait-for.ts";

const birdConfig = `
router id 10.99.0.2;
protocol device {}
protocol direct { ipv4; }
protocol static { ipv4; route 10.244.2.0/26 blackhole; }
protocol bfd { interface "*" { interval 300 ms; multiplier 3; }; }
protocol bgp tortie {
  local 10.99.0.2 as 64999;
  neighbor 10.99.0.1 as 64512;
  direct;
  bfd graceful;
  graceful restart on;
  connect retry time 1;
  error wait time 1, 2;
  ipv4 { import all; export where source = RTS_STATIC; };
}
`;

suite("tortie bgp whose BGPPeer asks for BFD", { skip: cannotRunBird() }, () => {
  let pair: NamespacePair;
  let store: TestStore;
  let node: BgpNode;
  let bird: Bird;

  before(async () => {
    store = await openTestStore();
    pair = await makeNamespacePair("bfds");
    await store.create("IPPool", "pool", { cidr: "10.244.0.0/16" });
    await store.create("Node", "a", { bgp: { ipv4Address: "10.99.0.1/24" } });
    await store.datastore.create({
      apiVersion: calicoApiVersion,
      kind: "BGPPeer",
      metadata: { name: "tor", annotations: { [bgpAnnotations.bfd]: "300ms x 3" } },
      spec: { peerIP: "10.99.0.2", asNumber: 64999 },
    } as never);
    bird = await startBird(pair.b, birdConfig);
    node = startBgpNode("a", pair.a, store);
    await established(node, 1);
  });

  after(async () => {
    await node?.kill("SIGKILL");
    await bird?.stop();
    await pair?.remove();
    await store?.close();
  });

  test("a BIRD that hangs loses its routes at once, though it restarts gracefully", async () => {
    const learned = "10.244.2.0/26 via 10.99.0.2 dev eth0 metric 1024";
    await waitFor(async () => (await node.routes()).includes(learned), { what: "the route" });
    await waitFor(() => node.log().includes('"to":"up"'), { what: "BFD" });
    bird.pause();
    await waitFor(async () => (await node.routes()).length === 0, { what: "its end" });
    const [peer] = (await node.status()).peers;
    assert.match(peer?.reason ?? "", /BFD/);
    bird.resume();
    await waitFor(async () => (await node.routes()).includes(learned), { what: "the route again" });
  });

  test("a restart of ours says that it is on purpose, and BIRD keeps the session's routes", async () => {
    await established(node, 1);
    await waitFor(async () => /Up/.test(await bird.query("show bfd sessions")));
    await node.kill("SIGTERM");
    await waitFor(async () => !/ Up /.test(await bird.query("show bfd sessions")));
    assert.match(await bird.query("show protocols all tortie"), /graceful restart active/);
  });
});
