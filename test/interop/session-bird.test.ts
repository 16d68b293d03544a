import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, suite, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { PeerConfig } from "../../src/bgp/peer/peer.ts";
import type { Asn } from "../../src/lib/asn.ts";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import {
  type Bird,
  cannotRunBird,
  makeNamespacePair,
  type NamespacePair,
  startBird,
} from "../support/bird.ts";
import { waitFor } from "../support/wait-for.ts";
import type { AgentConfig, AgentReport } from "./bgp-agent.ts";

const us4 = "10.99.0.1" as IpAddr;
const bird4 = "10.99.0.2" as IpAddr;
const us6 = "fd99::1" as IpAddr;
const bird6 = "fd99::2" as IpAddr;

const isUp = /BGP state:\s+Established/;

suite("sessions with BIRD", { skip: cannotRunBird(), concurrency: false }, () => {
  let pair: NamespacePair;
  before(async () => {
    pair = await makeNamespacePair("bird");
  });
  after(() => pair.remove());

  const bird = async (t: TestContext, options: BirdOptions = {}): Promise<Bird> => {
    const started = await startBird(pair.b, birdConfig(options));
    t.after(() => started.stop());
    return started;
  };
  const tortie = (t: TestContext, peer: Partial<PeerConfig>, config: Partial<AgentConfig> = {}) =>
    startAgent(t, pair.a, agentConfig(peer, config));

  test("routes of both families go both ways over a session that we open", async (t) => {
    const birdB = await bird(t, { channels: "ipv4 ipv6" });
    const agent = tortie(t, { families: [4, 6] });
    await waitFor(async () => isUp.test(await birdB.query("show protocols all tortie")), {
      what: "the session at BIRD",
    });
    const routes = await waitFor(() => {
      const all = agent.reports.filter((report) => report.kind === "routes");
      return all.flatMap(({ endOfRib }) => endOfRib).length >= 2 ? all : undefined;
    });
    const by = (prefix: string) => routes.find(({ announced }) => announced.includes(prefix));
    assert.deepEqual(by("198.51.100.0/24")?.nextHops, [bird4]);
    assert.deepEqual(by("198.51.100.0/24")?.attributes, {
      origin: 0,
      asPath: [],
      localPref: 777,
      communities: [0xfc000005],
      largeCommunities: [[64512, 6, 7]],
    });
    assert.deepEqual(by("2001:db8:1::/48")?.nextHops, [bird6]);
    assert.match(
      await birdB.query("show route all 10.65.0.0/26"),
      /via 10\.99\.0\.1.*\n(.*\n)*.*local_pref: 2147482623/,
    );
    assert.match(await birdB.query("show route all fd65::/122"), /via fd99::1/);
  });

  test("BIRD opens the session to us when we are passive, and sees our withdrawal", async (t) => {
    const agent = tortie(t, { passive: true }, { withdraw: ["10.65.0.0/26"] });
    const birdB = await bird(t, {});
    await waitFor(() => agent.find("established"), { what: "the session" });
    await waitFor(async () => /10\.65\.0\.0\/26/.test(await birdB.query("show route")));
    await waitFor(async () => !/10\.65\.0\.0\/26/.test(await birdB.query("show route")));
    assert.match(await birdB.query("show protocols all tortie"), isUp);
  });

  test("a session over IPv6 to another AS carries 4-octet ASes", async (t) => {
    const birdB = await bird(t, { overIpv6: true, channels: "ipv6", birdAs: 4200000000 });
    const agent = tortie(t, {
      name: "Node_fd99__2",
      address: bird6,
      localAddress: us6,
      remoteAs: 4200000000 as Asn,
      families: [6],
    });
    const update = await waitFor(() =>
      agent.reports.find((each) => each.kind === "routes" && each.announced.length > 0),
    );
    assert.ok(update.kind === "routes");
    assert.deepEqual(update.announced, ["2001:db8:1::/48"]);
    assert.deepEqual(update.nextHops, [bird6]);
    assert.deepEqual(update.attributes?.asPath, [{ kind: "sequence", asns: [4200000000] }]);
    await waitFor(async () => /via fd99::1/.test(await birdB.query("show route all fd65::/122")));
  });

  test("when both open a connection again and again, neither closes what the other keeps", async (t) => {
    const birdB = await bird(t, { delay: 0 });
    const agent = tortie(t, {});
    const count = (kind: AgentReport["kind"]) =>
      agent.reports.filter((report) => report.kind === kind).length;
    for (let round = 1; round <= 10; round++) {
      // BIRD may end one of two that were up here for a moment, never both.
      const isUpHere = () => count("established") === count("down") + 1;
      await waitFor(
        async () =>
          count("established") >= round &&
          isUpHere() &&
          isUp.test(await birdB.query("show protocols all tortie")),
        { what: `session ${round}` },
      );
      if (round < 10) await birdB.query("restart tortie");
      await waitFor(() => round === 10 || count("down") >= round, { what: `end ${round}` });
    }
  });

  test("when both open a connection one session comes up and stays", async (t) => {
    const agent = tortie(t, {});
    const birdB = await bird(t, { delay: 0 });
    await waitFor(() => agent.find("established"), { what: "the session" });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.match(await birdB.query("show protocols all tortie"), isUp);
    const kinds = agent.reports.map(({ kind }) => kind).filter((kind) => kind !== "routes");
    assert.deepEqual(kinds, ["established"]);
  });

  test("a BIRD that falls silent is given up after the hold time", async (t) => {
    const birdB = await bird(t, {});
    const agent = tortie(t, { holdSeconds: 3 });
    await waitFor(() => agent.find("established"), { what: "the session" });
    birdB.pause();
    const down = await waitFor(() => agent.find("down"), { what: "the end" });
    assert.deepEqual(down, { kind: "down", text: "Hold timer expired", graceful: false });
    birdB.resume();
    await waitFor(() => agent.reports.filter(({ kind }) => kind === "established").length === 2, {
      what: "the next session",
    });
  });

  test("a wrong AS ends in the NOTIFICATION for it, at either side", async (t) => {
    const birdB = await bird(t, { passive: true });
    const wrongPeer = tortie(t, { remoteAs: 65001 as Asn });
    await waitFor(
      async () => /Received: Bad peer AS/.test(await birdB.query("show protocols tortie")),
      { what: "our NOTIFICATION at BIRD" },
    );
    await wrongPeer.stop();
    assert.equal(wrongPeer.find("established"), undefined);
    const wrongSelf = tortie(t, { localAs: 65001 as Asn });
    await waitFor(
      async () => /Error: Bad peer AS/.test(await birdB.query("show protocols tortie")),
      {
        what: "BIRD's own complaint",
      },
    );
    assert.equal(wrongSelf.find("established"), undefined);
  });

  test("after a quiet end BIRD keeps our routes, after a Cease it does not", async (t) => {
    for (const closeQuietly of [true, false]) {
      const birdB = await bird(t, {});
      const agent = tortie(t, {}, { closeQuietly });
      await waitFor(async () => /10\.65\.0\.0\/26/.test(await birdB.query("show route")));
      await agent.stop();
      await waitFor(async () => !isUp.test(await birdB.query("show protocols all tortie")));
      assert.equal(/10\.65\.0\.0\/26/.test(await birdB.query("show route")), closeQuietly);
      const protocols = await birdB.query("show protocols tortie");
      assert.equal(/Received: Administrative shutdown/.test(protocols), !closeQuietly);
      await birdB.stop();
    }
  });
});

interface BirdOptions {
  readonly overIpv6?: boolean;
  readonly channels?: string;
  readonly birdAs?: number;
  readonly passive?: boolean;
  readonly delay?: number;
}

function birdConfig({
  overIpv6 = false,
  channels = "ipv4",
  birdAs = 64512,
  passive = false,
  delay = 1,
}: BirdOptions): string {
  const [local, neighbor] = overIpv6 ? [bird6, us6] : [bird4, us4];
  const channel = (family: string) =>
    `${family} { import all; export where source = RTS_STATIC; next hop self; };`;
  return `
    router id 10.99.0.2;
    protocol device {}
    protocol direct { ipv4; ipv6; }
    protocol static static4 {
      ipv4;
      route 198.51.100.0/24 blackhole {
        bgp_local_pref = 777; bgp_community.add((64512, 5)); bgp_large_community.add((64512, 6, 7));
      };
    }
    protocol static static6 { ipv6; route 2001:db8:1::/48 blackhole; }
    protocol bgp tortie {
      local ${local} as ${birdAs};
      neighbor ${neighbor} as 64512;
      multihop;
      ${passive ? "passive;" : ""}
      graceful restart;
      connect delay time ${delay};
      connect retry time 1;
      error wait time 1, 2;
      ${channels.split(" ").map(channel).join("\n")}
    }`;
}

function agentConfig(peer: Partial<PeerConfig>, config: Partial<AgentConfig>): AgentConfig {
  const attributes = { origin: 0, asPath: [], localPref: 2147482623 } as const;
  const external = peer.remoteAs !== undefined && peer.remoteAs !== 64512;
  const asPath = external ? [{ kind: "sequence", asns: [64512 as Asn] } as const] : [];
  return {
    listenAddresses: [us4, us6],
    closeQuietly: false,
    peers: [
      {
        name: "Node_10_99_0_2",
        address: bird4,
        port: 179,
        remoteAs: 64512 as Asn,
        localAs: 64512 as Asn,
        localRouterId: 0x0a630001,
        localAddress: us4,
        passive: false,
        holdSeconds: 90,
        connectRetrySeconds: 1,
        families: [4],
        gracefulRestartSeconds: 120,
        ...peer,
      },
    ],
    announce: [
      { prefix: "10.65.0.0/26", nextHop: us4, attributes: { ...attributes, asPath } },
      { prefix: "fd65::/122", nextHop: us6, attributes: { ...attributes, asPath } },
    ],
    ...config,
  };
}

interface Agent {
  readonly reports: AgentReport[];
  readonly find: (kind: AgentReport["kind"]) => AgentReport | undefined;
  /** Ends it as a shutdown does, and waits. */
  readonly stop: () => Promise<void>;
}

function startAgent(t: TestContext, namespace: string, config: AgentConfig): Agent {
  const program = fileURLToPath(new URL("bgp-agent.ts", import.meta.url));
  const args = ["netns", "exec", namespace, process.execPath, program, JSON.stringify(config)];
  const child = spawn("ip", args, { stdio: ["ignore", "pipe", "inherit"] });
  const exit = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  t.after(async () => {
    child.kill("SIGKILL");
    await exit;
  });
  const reports: AgentReport[] = [];
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    const lines = (text + chunk.toString()).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) reports.push(JSON.parse(line) as AgentReport);
  });
  return {
    reports,
    find: (kind) => reports.find((report) => report.kind === kind),
    stop: async () => {
      child.kill("SIGTERM");
      await exit;
    },
  };
}
