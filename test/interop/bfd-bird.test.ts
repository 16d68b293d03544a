import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, suite, type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { BfdSessionConfig } from "../../src/bgp/bfd/bfd.ts";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import {
  type Bird,
  cannotRunBird,
  makeNamespacePair,
  type NamespacePair,
  startBird,
} from "../support/bird.ts";
import { waitFor } from "../support/wait-for.ts";
import { assertDetected, bfd300, peerConfig, startBfdNode } from "./bfd-node.ts";

const path4 = { local: "10.99.0.1" as IpAddr, peer: "10.99.0.2" as IpAddr };
const path6 = { local: "fd99::1" as IpAddr, peer: "fd99::2" as IpAddr };
const bfd100 = { ...bfd300, minReceiveMs: 100, minTransmitMs: 100 };

function birdConfig(body: string, interval = 100): string {
  const pace = `interval ${interval} ms; multiplier 3;`;
  return `
    router id 10.99.0.2;
    protocol device { scan time 1; }
    protocol bfd watch {
      interface "*" { ${pace} };
      multihop { ${pace} };
      ${body}
    }`;
}

const bgpProtocol = `
    protocol bgp tortie {
      local 10.99.0.2 as 64512;
      neighbor 10.99.0.1 as 64512;
      direct;
      bfd on;
      graceful restart on;
      connect delay time 0;
      connect retry time 1;
      error wait time 1, 2;
      hold time 90;
      ipv4 { import all; export all; };
    }`;

suite("BFD with BIRD", { skip: cannotRunBird(), concurrency: false }, () => {
  let pair: NamespacePair;
  before(async () => {
    pair = await makeNamespacePair("bfdb");
  });
  after(() => pair.remove());

  const bird = async (t: TestContext, config: string): Promise<Bird> => {
    const started = await startBird(pair.b, config);
    t.after(() => started.stop());
    return started;
  };
  const us = (t: TestContext, ...sessions: BfdSessionConfig[]) =>
    startBfdNode(t, pair.a, { sessions });

  test("a busy main thread of 3 s costs no session of 100 ms x 3, over IPv4 and IPv6", async (t) => {
    const birdB = await bird(
      t,
      birdConfig(`neighbor 10.99.0.1 dev "eth0" local 10.99.0.2;
        neighbor fd99::1 dev "eth0" local fd99::2;`),
    );
    const node = us(t, { ...path4, bfd: bfd100 }, { ...path6, bfd: bfd100 });
    await node.next("bfd up");
    await node.next("bfd up");
    const sessions = await birdB.query("show bfd sessions");
    assert.match(sessions, /10\.99\.0\.1\s+eth0\s+Up\s+\S+\s+0\.100\s+0\.300/);
    assert.match(sessions, /fd99::1\s+eth0\s+Up/);
    const since = sessions.match(/Up\s+\S+/g);
    node.busy(3000);
    await node.next("busy");
    assert.deepEqual((await birdB.query("show bfd sessions")).match(/Up\s+\S+/g), since);
    assert.deepEqual(
      node.reports.map(({ kind }) => kind),
      ["bfd", "bfd", "busy"],
    );
  });

  test("a BIRD that falls silent is down within the Detection Time, and up again after", async (t) => {
    const birdB = await bird(t, birdConfig(`neighbor 10.99.0.1 dev "eth0" local 10.99.0.2;`));
    const node = us(t, { ...path4, bfd: bfd100 });
    await node.next("bfd up");
    // Up is said at the slow pace of 1 s; a packet at the agreed one must have come.
    await waitFor(
      async () => /Up\s+\S+\s+0\.100\s+0\.300/.test(await birdB.query("show bfd sessions")),
      { what: "the pace of 100 ms" },
    );
    await delay(300);
    birdB.pause();
    assertDetected(await node.next("bfd down"), 300);
    birdB.resume();
    await node.next("bfd up");
  });

  test("multihop, and our end on purpose: BIRD is told that we switch it off", async (t) => {
    const birdB = await bird(t, birdConfig("neighbor 10.99.0.1 local 10.99.0.2 multihop on;"));
    const node = us(t, { ...path4, bfd: { ...bfd100, multiplier: 255, multihop: true } });
    await node.next("bfd up");
    assert.match(
      await birdB.query("show bfd sessions"),
      /10\.99\.0\.1\s+---\s+Up\s+\S+\s+0\.100\s+25\.500/,
    );
    await node.stop();
    await waitFor(async () => !/Up/.test(await birdB.query("show bfd sessions")), {
      what: "the end at BIRD, before its Detection Time",
    });
  });

  test("link-local neighbours of an interface", async (t) => {
    const linkLocal = (namespace: string) => {
      const text = execFileSync(
        "ip",
        ["-n", namespace, "-6", "-j", "addr", "show", "dev", "eth0"],
        {
          encoding: "utf8",
        },
      );
      const [{ addr_info: all }] = JSON.parse(text);
      return all.find(({ scope }: { scope: string }) => scope === "link").local as IpAddr;
    };
    const [local, peer] = [linkLocal(pair.a), linkLocal(pair.b)];
    await bird(t, birdConfig(`neighbor ${local} dev "eth0" local ${peer};`));
    const node = us(t, { local, peer, zone: "eth0", bfd: bfd100 });
    await node.next("bfd up");
  });

  test("a slower BIRD sets the pace by a Poll, and nothing goes down", async (t) => {
    const neighbor = `neighbor 10.99.0.1 dev "eth0" local 10.99.0.2;`;
    const birdB = await bird(t, birdConfig(neighbor, 700));
    const node = us(t, { ...path4, bfd: bfd100 });
    await node.next("bfd up");
    await waitFor(async () =>
      /Up\s+\S+\s+0\.700\s+2\.100/.test(await birdB.query("show bfd sessions")),
    );
    assert.equal(node.reports.length, 1);
  });

  test("a cut link ends the BGP session after 300 ms x 3, long before its hold time", async (t) => {
    const birdB = await bird(t, birdConfig("", 300) + bgpProtocol);
    const node = startBfdNode(t, pair.a, {
      bgp: { listenAddresses: [path4.local], peers: [peerConfig()] },
    });
    await node.next("established");
    await node.next("bfd up");
    execFileSync("ip", ["-n", pair.b, "link", "set", "eth0", "down"]);
    try {
      assertDetected(await node.next("bfd down"), 900);
      const down = await node.next("down");
      assert.equal(down.graceful, false);
      assert.match(down.text, /^Reset: Cease\/BFD Down/);
    } finally {
      execFileSync("ip", ["-n", pair.b, "link", "set", "eth0", "up"]);
      execFileSync("ip", ["-n", pair.b, "addr", "replace", "fd99::2/64", "dev", "eth0", "nodad"]);
    }
    await node.next("established");
    await node.next("bfd up");
    assert.match(await birdB.query("show protocols all tortie"), /BGP state:\s+Established/);
  });

  test("a BIRD that hangs is told Cease/BFD Down as soon as it listens again", async (t) => {
    const birdB = await bird(t, birdConfig("", 300) + bgpProtocol);
    const node = startBfdNode(t, pair.a, {
      bgp: { listenAddresses: [path4.local], peers: [peerConfig()] },
    });
    await node.next("established");
    await node.next("bfd up");
    birdB.pause();
    assertDetected(await node.next("bfd down"), 900);
    await node.next("down Reset: Cease/BFD Down");
    birdB.resume();
    await node.next("established", 12_000);
    assert.match(await birdB.query("show protocols all tortie"), /Established/);
  });

  test('our stop leaves the graceful restart of a BIRD with "bfd graceful" alone', async (t) => {
    // With plain "bfd on", BIRD takes a session that is switched off for a path that failed.
    const protocols = bgpProtocol.replace("bfd on", "bfd graceful");
    const birdB = await bird(t, birdConfig("", 300) + protocols);
    const node = startBfdNode(t, pair.a, {
      bgp: { listenAddresses: [path4.local], peers: [peerConfig()] },
    });
    await node.next("established");
    await node.next("bfd up");
    await node.stop();
    await waitFor(async () => !/Up/.test(await birdB.query("show bfd sessions")));
    const shown = await birdB.query("show protocols all tortie");
    assert.match(shown, /Neighbor graceful restart active/);
  });
});
