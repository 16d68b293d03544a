import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, suite, type TestContext, test } from "node:test";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import type { Prefix } from "../../src/lib/prefix.ts";
import {
  type Bird,
  cannotRunBird,
  makeNamespacePair,
  type NamespacePair,
  startBird,
} from "../support/bird.ts";
import { cannotMakeNetns } from "../support/netns.ts";
import { waitFor } from "../support/wait-for.ts";
import { type SessionAgent, startSessionAgent, testPeer } from "./bgp-session-agent.ts";

const us = "10.99.0.1";

suite("sessions with TCP-MD5 and GTSM", { skip: cannotMakeNetns() || cannotRunBird() }, () => {
  let pair: NamespacePair;
  before(async () => {
    pair = await makeNamespacePair("sec");
  });
  after(() => pair.remove());

  const bird = async (t: TestContext, options: string, neighbor = us): Promise<Bird> => {
    const started = await startBird(pair.b, birdConfig(options, neighbor));
    t.after(() => started.stop());
    return started;
  };
  const agent = (t: TestContext): Promise<SessionAgent> =>
    startSessionAgent(t, pair.a, [us, "fd99::1"]);
  const up = (who: SessionAgent) => waitFor(() => who.find("established"), { what: "the session" });

  for (const [label, peer, options, neighbor] of [
    ["we connect, IPv4", {}, "passive;", us],
    ["BIRD connects, IPv4", { passive: true }, "", us],
    ["we connect, IPv6", { address: "fd99::2" as IpAddr }, "passive;", "fd99::1"],
    ["BIRD connects, IPv6", { address: "fd99::2" as IpAddr, passive: true }, "", "fd99::1"],
  ] as const) {
    test(`right key and GTSM: ${label}`, async (t) => {
      const [ours] = await Promise.all([
        agent(t),
        bird(t, `password "correct horse"; ttl security on; ${options}`, neighbor),
      ]);
      ours.tell({
        kind: "configure",
        peers: [testPeer({ ...peer, password: "correct horse", ttlSecurityHops: 1 })],
      });
      await up(ours);
    });
  }

  for (const [label, peer, options] of [
    ["we connect", {}, "passive;"],
    ["BIRD connects", { passive: true }, ""],
  ] as const) {
    test(`a wrong or missing key never becomes a session: ${label}`, async (t) => {
      const ours = await agent(t);
      for (const [here, there] of [
        ["correct horse", 'password "wrong";'],
        ["correct horse", ""],
        [undefined, 'password "correct horse";'],
      ]) {
        const password = here === undefined ? {} : { password: here };
        const before = md5Drops(pair);
        ours.tell({ kind: "configure", peers: [testPeer({ ...peer, ...password })] });
        const theirs = await bird(t, `${there} ${options}`);
        await waitFor(() => md5Drops(pair) > before, { what: "a segment without our key" });
        assert.deepEqual(ours.kinds(), []);
        assert.doesNotMatch(await theirs.query("show protocols tortie"), /Established/);
        await theirs.stop();
      }
    });
  }

  test("a connect that gets no answer says that a key may be wrong", async (t) => {
    const ours = await agent(t);
    ours.tell({ kind: "configure", peers: [testPeer({ password: "one" })] });
    await bird(t, 'password "two"; passive;');
    const reason = async () => (await ours.status())[0]?.reason ?? "";
    await waitFor(async () => /No answer.*TCP-MD5 key/.test(await reason()), { what: "a reason" });
  });

  test("GTSM refuses who is further away, and says so", async (t) => {
    const ours = await agent(t);
    const peer = testPeer({ passive: true, ttlSecurityHops: 1 });
    ours.tell({ kind: "configure", peers: [peer] });
    await bird(t, "multihop;");
    const reason = async () => (await ours.status())[0]?.reason;
    await waitFor(async () => (await reason()) === "The peer is more than 1 hops away");
    assert.deepEqual(ours.kinds(), []);
    ours.tell({ kind: "configure", peers: [{ ...peer, ttlSecurityHops: 192 }] });
    await up(ours);
  });

  for (const [label, passive, options] of [
    ["we connect", false, "passive;"],
    ["BIRD connects", true, ""],
  ] as const) {
    test(`a peer with GTSM takes what we send, though we do not check it: ${label}`, async (t) => {
      const ours = await agent(t);
      await bird(t, `ttl security on; ${options}`);
      const peer = testPeer({ passive });
      ours.tell({ kind: "configure", peers: [peer] });
      await up(ours);
      // The same session with the check on our side as well: BIRD hears of the end at once.
      ours.tell({ kind: "configure", peers: [{ ...peer, ttlSecurityHops: 1 }] });
      await waitFor(() => ours.kinds().filter((kind) => kind === "established").length === 2, {
        what: "the next session",
      });
    });
  }

  test("another password resets this peer alone, and takes effect on the open listener", async (t) => {
    const [ours, other] = [await agent(t), await startSessionAgent(t, pair.b, [])];
    await addAddress(pair.b, "10.99.0.3");
    const peers = (password: string) => [
      testPeer({ passive: true, password }),
      testPeer({ name: "third", address: "10.99.0.3" as IpAddr, passive: true, password: "x" }),
    ];
    ours.tell({ kind: "configure", peers: peers("first") });
    const back = testPeer({
      name: "back",
      address: us as IpAddr,
      localAddress: "10.99.0.3" as IpAddr,
      localRouterId: 3,
      password: "x",
    });
    other.tell({ kind: "configure", peers: [back] });
    await bird(t, 'password "second";');
    await up(ours);
    ours.tell({ kind: "configure", peers: peers("second") });
    await waitFor(() => ours.kinds().length === 2, { what: "BIRD's session" });
    assert.deepEqual(
      ours.events.map((event) => "name" in event && [event.kind, event.name]),
      [
        ["established", "third"],
        ["established", "peer"],
      ],
    );
  });

  test("one key serves all dynamic neighbours of a prefix", async (t) => {
    const ours = await agent(t);
    const { name: _name, address: _address, passive: _passive, ...template } = testPeer();
    const dynamic = {
      prefix: "10.99.0.0/24" as Prefix,
      template: { ...template, password: "p" },
      limit: 9,
    };
    ours.tell({ kind: "configure", peers: [], dynamic: [dynamic] });
    await bird(t, 'password "p";');
    await up(ours);
    assert.deepEqual(ours.kinds(), ["dynamicAdded", "established"]);
  });

  test("a key that the kernel has no room for keeps its peer down and names the sysctl", async (t) => {
    const limit = ["netns", "exec", pair.a, "sysctl", "-w"];
    execFileSync("ip", [...limit, "net.core.optmem_max=700"]);
    t.after(() => execFileSync("ip", [...limit, "net.core.optmem_max=131072"]));
    const ours = await agent(t);
    const before = md5Drops(pair);
    const peers = Array.from({ length: 20 }, (_, i) =>
      testPeer({
        name: `peer${i}`,
        address: `10.99.0.${i + 2}` as IpAddr,
        passive: true,
        password: "key",
      }),
    ).reverse();
    ours.tell({ kind: "configure", peers });
    const theirs = await bird(t, 'password "key";');
    const status = (await ours.status()).find(({ name }) => name === "peer0");
    assert.equal(status?.state, "Idle");
    assert.match(status?.reason ?? "", /TCP-MD5 key of 10\.99\.0\.2\/32.*net\.core\.optmem_max/);
    await waitFor(() => md5Drops(pair) > before, { what: "a segment with a key" });
    assert.doesNotMatch(await theirs.query("show protocols tortie"), /Established/);
    assert.deepEqual(ours.kinds(), []);
  });
});

/** Segments that the kernels have thrown away because of their TCP-MD5 key, or for want of it. */
function md5Drops({ a, b }: NamespacePair): number {
  let drops = 0;
  for (const namespace of [a, b]) {
    const file = ["netns", "exec", namespace, "cat", "/proc/net/netstat"];
    const lines = execFileSync("ip", file, { encoding: "utf8" }).split("\n");
    const [names = [], values = []] = lines
      .filter((line) => line.startsWith("TcpExt:"))
      .map((line) => line.split(" "));
    names.forEach((name, i) => {
      if (name.startsWith("TCPMD5")) drops += Number(values[i]);
    });
  }
  return drops;
}

async function addAddress(namespace: string, address: string): Promise<void> {
  const words = ["-n", namespace, "addr", "replace", `${address}/24`, "dev", "eth0"];
  execFileSync("ip", words);
}

function birdConfig(options: string, neighbor: string): string {
  const local = neighbor.includes(":") ? "fd99::2" : "10.99.0.2";
  return `
    router id 10.99.0.2;
    protocol device {}
    protocol bgp tortie {
      local ${local} as 64512;
      neighbor ${neighbor} as 64512;
      ${options.includes("multihop") ? "" : "direct;"}
      connect delay time 0;
      connect retry time 1;
      error wait time 1, 1;
      ${options}
      ipv4 { import all; export none; };
    }`;
}
