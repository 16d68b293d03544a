import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, suite, type TestContext, test } from "node:test";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
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

const [ours, theirs] = ["fe80::aa", "fe80::bb"] as unknown as [IpAddr, IpAddr];

suite("sessions and their addresses", { skip: cannotMakeNetns() || cannotRunBird() }, () => {
  let pair: NamespacePair;
  before(async () => {
    pair = await makeNamespacePair("adr");
    for (const [namespace, address] of [
      [pair.a, `${ours}/64`],
      [pair.b, `${theirs}/64`],
      [pair.a, "10.99.0.9/24"],
    ] as const) {
      const words = ["-n", namespace, "addr", "add", address, "dev", "eth0"];
      execFileSync("ip", address.includes(":") ? [...words, "nodad"] : words);
    }
  });
  after(() => pair.remove());

  const bird = async (t: TestContext, neighbor: string, options = ""): Promise<Bird> => {
    const local = neighbor.includes("fe80") ? `${theirs}` : "10.99.0.2";
    const started = await startBird(
      pair.b,
      `router id 10.99.0.2;
       protocol device {}
       protocol bgp tortie {
         local ${local} as 64512;
         neighbor ${neighbor} as 64512;
         direct;
         connect delay time 0;
         connect retry time 1;
         error wait time 1, 1;
         ${options}
         ipv4 { import all; export none; };
       }`,
    );
    t.after(() => started.stop());
    return started;
  };
  const up = (who: SessionAgent) => waitFor(() => who.find("established"), { what: "the session" });

  for (const [label, passive, options] of [
    ["we connect", false, "passive;"],
    ["BIRD connects", true, ""],
  ] as const) {
    test(`a link-local peer with a key and GTSM: ${label}`, async (t) => {
      const agent = await startSessionAgent(t, pair.a, ["::"]);
      const where = { address: theirs, zone: "eth0", localAddress: ours, passive };
      const peer = testPeer({ ...where, password: "k", ttlSecurityHops: 1 });
      agent.tell({ kind: "configure", peers: [peer] });
      await bird(t, `${ours}%eth0`, `password "k"; ttl security on; ${options}`);
      const { negotiated } = await up(agent);
      assert.deepEqual([negotiated.localAddress, negotiated.peerAddress], [ours, theirs]);
    });
  }

  test("a link-local peer without either, on the interface of its zone only", async (t) => {
    const agent = await startSessionAgent(t, pair.a, ["::"]);
    const peer = testPeer({ address: theirs, zone: "lo", passive: true });
    agent.tell({ kind: "configure", peers: [peer] });
    const birdB = await bird(t, `${ours}%eth0`);
    await waitFor(async () => /Connection rejected/.test(await birdB.query("show protocols")));
    agent.tell({ kind: "configure", peers: [{ ...peer, zone: "eth0", passive: false }] });
    await up(agent);
  });

  test("our side of the connection is the source address", async (t) => {
    const agent = await startSessionAgent(t, pair.a, ["10.99.0.9"]);
    const peer = testPeer({ localAddress: "10.99.0.9" as IpAddr });
    agent.tell({ kind: "configure", peers: [peer] });
    await bird(t, "10.99.0.9", "passive;");
    const { negotiated } = await up(agent);
    assert.equal(negotiated.localAddress, "10.99.0.9");
  });

  test("a peer that comes up a moment later is not waited for long", async (t) => {
    const agent = await startSessionAgent(t, pair.a, []);
    agent.tell({ kind: "configure", peers: [testPeer({ connectRetrySeconds: 120 })] });
    const refused = async () => (await agent.status())[0]?.reason.includes("ECONNREFUSED");
    await waitFor(refused, { what: "the first refusal" });
    await bird(t, "10.99.0.1", "passive;");
    await waitFor(() => agent.find("established"), { what: "the session" });
  });
});
