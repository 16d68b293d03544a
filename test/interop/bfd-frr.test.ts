import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, type TestContext, test } from "node:test";
import { promisify } from "node:util";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import { makeNamespacePair, type NamespacePair } from "../support/bird.ts";
import { waitFor } from "../support/wait-for.ts";
import { assertDetected, bfd300, peerConfig, startBfdNode } from "./bfd-node.ts";

const run = promisify(execFile);
const programs = "/usr/lib/frr";
const path4 = { local: "10.99.0.1" as IpAddr, peer: "10.99.0.2" as IpAddr };

function cannotRunFrr(): string | false {
  if (!existsSync(`${programs}/bfdd`)) return "FRR is not installed";
  return process.getuid?.() === 0 ? false : "network namespaces need root";
}

const bfdConfig = `
bfd
 profile fast
  detect-multiplier 3
  receive-interval 300
  transmit-interval 300
 !
 peer 10.99.0.1 interface eth0
  profile fast
 !
 peer 10.99.0.1 multihop local-address 10.99.0.2
  profile fast
 !
!`;

const bgpConfig = `
bfd
 profile fast
  detect-multiplier 3
  receive-interval 300
  transmit-interval 300
 !
!
router bgp 64512
 bgp router-id 10.99.0.2
 no bgp ebgp-requires-policy
 neighbor 10.99.0.1 remote-as 64512
 neighbor 10.99.0.1 timers 30 90
 neighbor 10.99.0.1 timers connect 1
 neighbor 10.99.0.1 bfd
 neighbor 10.99.0.1 bfd profile fast
!`;

suite("BFD with FRR", { skip: cannotRunFrr(), concurrency: false }, () => {
  let pair: NamespacePair;
  before(async () => {
    pair = await makeNamespacePair("bfdf");
  });
  after(() => pair.remove());

  for (const multihop of [false, true]) {
    test(`${multihop ? "multihop" : "single hop"}: up, down when bfdd hangs, up again`, async (t) => {
      const frr = await startFrr(t, pair.b, bfdConfig, ["zebra", "bfdd"]);
      const node = startBfdNode(t, pair.a, {
        sessions: [{ ...path4, bfd: { ...bfd300, multihop } }],
      });
      await node.next("bfd up");
      const peer = await waitFor(async () =>
        (await frr.bfdPeers()).find((each) => each.multihop === multihop && each.status === "up"),
      );
      assert.equal(peer["remote-receive-interval"], 300);
      assert.equal(peer["remote-transmit-interval"], 300);
      assert.equal(peer["remote-detect-multiplier"], 3);
      frr.signal("bfdd", "SIGSTOP");
      assertDetected(await node.next("bfd down"), 900);
      frr.signal("bfdd", "SIGCONT");
      await node.next("bfd up");
    });
  }

  test("a cut link and a killed bfdd end the session of bgpd; it comes back with the link", async (t) => {
    const frr = await startFrr(t, pair.b, bgpConfig, ["zebra", "bfdd", "bgpd"]);
    const node = startBfdNode(t, pair.a, {
      bgp: { listenAddresses: [path4.local], peers: [peerConfig()] },
    });
    await node.next("established", 12_000);
    await node.next("bfd up");
    await run("ip", ["-n", pair.b, "link", "set", "eth0", "down"]);
    assertDetected(await node.next("bfd down"), 900);
    const down = await node.next("down Reset: Cease/BFD Down");
    assert.equal(down.graceful, false);
    await run("ip", ["-n", pair.b, "link", "set", "eth0", "up"]);
    await node.next("established", 12_000);
    await node.next("bfd up");
    frr.signal("bfdd", "SIGKILL");
    assertDetected(await node.next("bfd down"), 900);
    await node.next("down Reset: Cease/BFD Down");
  });

  test("when we are gone bgpd ends the session by BFD", async (t) => {
    const frr = await startFrr(t, pair.b, bgpConfig, ["zebra", "bfdd", "bgpd"]);
    const node = startBfdNode(t, pair.a, {
      bgp: { listenAddresses: [path4.local], peers: [peerConfig()] },
    });
    await node.next("established", 12_000);
    await node.next("bfd up");
    await waitFor(async () => (await frr.bfdPeers()).some(({ status }) => status === "up"));
    node.pause();
    await waitFor(
      async () =>
        /Notification sent \(Cease\/BFD Down\)/.test(await frr.query("show bgp neighbors")),
      { what: "the end at bgpd" },
    );
  });
});

interface BfdPeer {
  readonly multihop: boolean;
  readonly status: string;
  readonly "remote-receive-interval": number;
  readonly "remote-transmit-interval": number;
  readonly "remote-detect-multiplier": number;
}

interface Frr {
  readonly query: (command: string) => Promise<string>;
  readonly bfdPeers: () => Promise<readonly BfdPeer[]>;
  readonly signal: (daemon: string, signal: NodeJS.Signals) => void;
}

/** FRR's daemons in a namespace, by hand: configuration and sockets are in a temporary folder. */
async function startFrr(
  t: TestContext,
  namespace: string,
  config: string,
  daemons: readonly string[],
): Promise<Frr> {
  const folder = await mkdtemp(join(tmpdir(), "tt-frr-"));
  // The daemons give up root for this user.
  await run("chown", ["frr:frr", folder]);
  const children = new Map<string, ChildProcess>();
  t.after(async () => {
    for (const child of children.values()) await ended(child);
    await rm(folder, { recursive: true, force: true });
  });
  const query = async (command: string) =>
    (await run("vtysh", ["--vty_socket", folder, "-c", command])).stdout;
  for (const daemon of daemons) {
    const file = join(folder, `${daemon}.conf`);
    await writeFile(file, daemon === "zebra" ? "" : config);
    children.set(daemon, startDaemon(namespace, folder, daemon));
    await waitFor(() => existsSync(join(folder, `${daemon}.vty`)), { what: `${daemon}'s socket` });
  }
  return {
    query,
    bfdPeers: async () => JSON.parse(await query("show bfd peers json")) as BfdPeer[],
    signal: (daemon, signal) => children.get(daemon)?.kill(signal),
  };
}

function startDaemon(namespace: string, folder: string, daemon: string): ChildProcess {
  const file = (extension: string) => join(folder, `${daemon}.${extension}`);
  const own: Readonly<Record<string, readonly string[]>> = {
    bfdd: ["--bfdctl", file("ctl")],
    bgpd: ["-l", "10.99.0.2"],
  };
  const words = [
    ...["-A", "127.0.0.1", "-P", "0"],
    ...["-f", file("conf"), "-i", file("pid")],
    ...["-z", join(folder, "zserv.api"), "--vty_socket", folder],
    ...(own[daemon] ?? []),
  ];
  return spawn("ip", ["netns", "exec", namespace, `${programs}/${daemon}`, ...words], {
    stdio: "ignore",
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exit;
}
