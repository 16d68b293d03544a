import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it, test } from "node:test";
import { decodeCall } from "../../src/cni/protocol.ts";
import { supportedVersions } from "../../src/cni/versions.ts";
import { labPaths } from "../../src/lab/lab-state.ts";
import { type CniRan, CniRuntime, cniConfig, cniPlugins } from "../support/cni.ts";
import { TestLab } from "../support/lab.ts";
import { TestNetns } from "../support/netns.ts";
import { waitFor } from "../support/wait-for.ts";

/** What a runtime may count on (facts 6, CNI specification), of both plugins, on a real node. */

const lab = new TestLab("c");
const paths = labPaths(lab.name, { TORTIE_LAB_DIR: lab.folder });
const socket = paths.cniSocket("node1");
const node = `${lab.name}-node1`;
/** What each plugin wrote down of one deletion. */
const writtenDown: string[] = [];
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "tt-cni-"));
  await lab.mustLab("up", "--nodes", "1", "--segments", "1", "--pods", "0");
  await lab.apply(`
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: tiny}
spec: {cidr: 10.99.0.0/30, blockSize: 30, vxlanMode: CrossSubnet}
`);
});
after(async () => {
  await lab.down();
  await rm(folder, { recursive: true });
});

/** Mount and PID namespaces of its own, in which alone `/mnt/pod` is the pod's namespace. */
function elsewhere(netns: TestNetns): readonly string[] {
  const prepare =
    'mount -t tmpfs none /mnt && touch /mnt/pod && mount --bind "$0" /mnt/pod && exec "$@"';
  return ["unshare", "--mount", "--pid", "--fork", "sh", "-c", prepare, netns.path];
}

function assertRefused(ran: CniRan, code: number, words: RegExp): void {
  assert.equal(ran.code, 1, ran.stdout);
  assert.equal(ran.answer.code, code, ran.stdout);
  assert.match(`${ran.answer.msg}: ${ran.answer.details}`, words);
  assert.equal(ran.stderr, "");
}

async function assertNothingLeft(): Promise<void> {
  const endpoints = await lab.cli(["get", "workloadendpoints", "-A", "-o", "json"]);
  assert.deepEqual(JSON.parse(endpoints.stdout).items, []);
  const links = await lab.inside(node, "ip", "-o", "link", "show");
  assert.doesNotMatch(links, /: cali[0-9a-f]{11}/);
  assert.doesNotMatch(await lab.inside(node, "ip", "route"), /dev cali/);
}

for (const [name, program] of Object.entries(cniPlugins)) {
  describe(`the ${name} plugin`, () => {
    const runtime = new CniRuntime(program, socket);

    it("tells its versions without an agent", async () => {
      const alone = new CniRuntime(program, "/nonexistent");
      const { code, answer } = await alone.call({ command: "VERSION", pod: "p" });
      assert.equal(code, 0);
      assert.deepEqual(answer, { cniVersion: "1.1.0", supportedVersions });
    });

    it("hands over a namespace that the agent could not open: ADD, CHECK, DEL", async () => {
      using pod = new TestNetns("pod");
      const request = { pod: `away-${name.toLowerCase()}`, netns: "/mnt/pod" };
      const added = await runtime.call({ ...request, command: "ADD" }, elsewhere(pod));
      assert.equal(added.code, 0, added.stdout + added.stderr);
      const address = added.answer.ips?.[0]?.address ?? "";
      assert.equal(added.answer.interfaces?.at(-1)?.sandbox, "/mnt/pod");
      assert.match(pod.ip("-o address show dev eth0"), new RegExp(`inet ${address} `));
      const hostName = added.answer.interfaces?.[0]?.name ?? "";
      const rules = await lab.inside(node, "iptables-save", "-t", "filter");
      assert.match(rules, new RegExp(`-A cali-to-wl-dispatch.* -o ${hostName} `));
      assert.match(rules, new RegExp(`^:cali-tw-${hostName} `, "m"));
      assert.match(
        await lab.inside(node, "ip", "route"),
        new RegExp(`^${address.split("/")[0]} dev ${hostName}`, "m"),
      );
      const checked = await runtime.call({ ...request, command: "CHECK" }, elsewhere(pod));
      assert.equal(checked.code, 0, checked.stdout);
      for (const round of [1, 2]) {
        const deleted = await runtime.call({ ...request, command: "DEL" }, elsewhere(pod));
        assert.equal(deleted.code, 0, `DEL ${round}: ${deleted.stdout}`);
      }
      assert.doesNotMatch(pod.ip("-o link show"), /eth0/);
      await assertNothingLeft();
    });

    it("DEL of a pod whose namespace is gone is success", async () => {
      const request = { pod: "gone", netns: "/run/netns/no-such-namespace" };
      const { code, stdout } = await runtime.call({ ...request, command: "DEL" });
      assert.deepEqual([code, stdout], [0, ""]);
    });

    it("DEL of a pod whose path is no pod's any more is success", async () => {
      for (const netns of [`/run/netns/${node}`, "/proc/self/ns/mnt"]) {
        const { code, stdout } = await runtime.call({ command: "DEL", pod: "reused", netns });
        assert.deepEqual([code, stdout], [0, ""]);
      }
    });

    it("refuses what is no namespace, or the node's own", async () => {
      const add = (netns?: string) =>
        runtime.call({ command: "ADD", pod: "bad", ...(netns === undefined ? {} : { netns }) });
      const file = join(folder, "file");
      await writeFile(file, "");
      assertRefused(await add("/run/netns/no-such-namespace"), 4, /CNI_NETNS.*[Nn]o such file/);
      assertRefused(await add(), 4, /CNI_NETNS/);
      assertRefused(await add(file), 4, /CNI_NETNS is no network namespace/);
      assertRefused(await add("/proc/self/ns/mnt"), 4, /CNI_NETNS is no network namespace/);
      assertRefused(await add(`/run/netns/${node}`), 4, /CNI_NETNS is the node's own namespace/);
      await assertNothingLeft();
    });

    it("names the variable or field that is wrong, and leaves nothing", async () => {
      using pod = new TestNetns("bad");
      const add = (config: unknown, env: Record<string, string> = {}) =>
        runtime.call({ command: "ADD", pod: "bad", netns: pod.path, config, env });
      const long = "x".repeat((1 << 16) + 1);
      assertRefused(await add("{not json"), 6, /configuration.*JSON/);
      assertRefused(await add("[]"), 7, /must be a JSON object/);
      assertRefused(await add({ ...cniConfig, cniVersion: "9.0.0" }), 1, /"9.0.0".*1\.0\.0/);
      assertRefused(await add({ ...cniConfig, mtu: "big" }), 7, /mtu.*"big"/);
      assertRefused(await add({ ...cniConfig, pad: "x".repeat(1 << 20) }), 5, /1 MiB/);
      assertRefused(await add(cniConfig, { CNI_ARGS: `K=${long}` }), 4, /over-long.*CNI_ARGS/);
      assertRefused(await add(cniConfig, { CNI_CONTAINERID: "../x" }), 4, /CNI_CONTAINERID/);
      assertRefused(await add(cniConfig, { CNI_IFNAME: "a/b" }), 4, /CNI_IFNAME.*a\/b/);
      assertRefused(await add(cniConfig, { CNI_COMMAND: "MAKE" }), 4, /CNI_COMMAND.*MAKE/);
      assert.doesNotMatch(pod.ip("-o link show"), /eth0/);
      await assertNothingLeft();
    });

    it("a pool that is full is an error that leaves nothing of the pod", async () => {
      const config = { ...cniConfig, ipam: { type: "calico-ipam", ipv4_pools: ["10.99.0.0/30"] } };
      const pods = Array.from({ length: 5 }, () => new TestNetns("full"));
      const call = (command: string, index: number) =>
        runtime.call({ command, pod: `full-${index}`, netns: pods[index]?.path ?? "", config });
      for (const index of [0, 1, 2, 3]) assert.equal((await call("ADD", index)).code, 0);
      assertRefused(await call("ADD", 4), 101, /10\.99\.0\.0\/30|tiny/);
      assert.doesNotMatch(pods[4]?.ip("-o link show") ?? "", /eth0/);
      for (const index of pods.keys()) assert.equal((await call("DEL", index)).code, 0);
      for (const pod of pods) pod.remove();
      await assertNothingLeft();
    });

    it("pods that come at once get an address each", async () => {
      const pods = Array.from({ length: 10 }, () => new TestNetns("many"));
      const all = (command: string) =>
        Promise.all(
          pods.map(({ path }, at) => runtime.call({ command, pod: `many-${at}`, netns: path })),
        );
      const added = await all("ADD");
      assert.deepEqual(
        added.filter(({ code }) => code !== 0).map(({ stdout }) => stdout),
        [],
      );
      const addresses = added.map(({ answer }) => answer.ips?.[0]?.address);
      assert.equal(new Set(addresses).size, pods.length);
      assert.ok((await all("DEL")).every(({ code }) => code === 0));
      for (const pod of pods) pod.remove();
      await assertNothingLeft();
    });

    it("answers in the version asked for, and the same when asked again", async () => {
      using pod = new TestNetns("again");
      const call = (command: string, cniVersion: string) =>
        runtime.call({
          command,
          pod: "again",
          netns: pod.path,
          config: { ...cniConfig, cniVersion },
        });
      const first = await call("ADD", "1.1.0");
      assert.equal(first.code, 0, first.stdout);
      assert.ok((first.answer.interfaces?.[1]?.mtu ?? 0) > 1000);
      const again = await call("ADD", "0.3.1");
      assert.deepEqual(Object.keys(again.answer.ips?.[0] ?? {}), [
        "version",
        "interface",
        "address",
      ]);
      const old = await call("ADD", "0.2.0");
      assert.equal(old.answer.ip4?.ip, first.answer.ips?.[0]?.address);
      assert.equal(old.answer.cniVersion, "0.2.0");
      assert.equal((await call("DEL", "0.2.0")).code, 0);
      await assertNothingLeft();
    });

    it("STATUS and GC: what the runtime no longer knows goes", async () => {
      using kept = new TestNetns("kept");
      using lost = new TestNetns("lost");
      const config = { ...cniConfig, cniVersion: "1.1.0", name: "collected" };
      const call = (command: string, pod: string, netns?: string, more: object = {}) =>
        runtime.call({
          command,
          pod,
          config: { ...config, ...more },
          ...(netns === undefined ? {} : { netns }),
        });
      assert.equal((await call("STATUS", "none")).stdout, "");
      for (const [name, { path }] of Object.entries({ kept, lost })) {
        assert.equal((await call("ADD", name, path)).code, 0);
      }
      const valid = { "cni.dev/valid-attachments": [{ containerID: "id-kept", ifname: "eth0" }] };
      const collected = await call("GC", "none", undefined, valid);
      assert.deepEqual([collected.code, collected.stdout], [0, ""]);
      assert.doesNotMatch(lost.ip("-o link show"), /eth0/);
      assert.equal((await call("CHECK", "kept", kept.path)).code, 0);
      assert.equal((await call("DEL", "kept", "")).code, 0);
      await assertNothingLeft();
    });

    it("as calico-ipam gives addresses alone", async () => {
      const link = join(await mkdtemp(join(folder, "ipam-")), "calico-ipam");
      await symlink(program, link);
      const ipam = new CniRuntime(link, socket);
      const call = (command: string) => ipam.call({ command, pod: "bare" });
      const { answer, stdout } = await call("ADD");
      assert.match(answer.ips?.[0]?.address ?? stdout, /\/32$/);
      assert.equal(answer.interfaces, undefined);
      assert.equal((await call("CHECK")).code, 0);
      for (const _ of [1, 2]) assert.equal((await call("DEL")).code, 0);
      assertRefused(await call("CHECK"), 101, /Cannot find an address/);
    });

    it("without an agent only DEL succeeds: it is written down, for root alone", async () => {
      using pod = new TestNetns("away");
      const spool = join(await mkdtemp(join(folder, "spool-")), "made", "here");
      const alone = new CniRuntime(program, join(folder, "none.sock"), spool);
      const call = (command: string) =>
        alone.call({ command, pod: "away", netns: pod.path, env: { CNI_PATH: "/p" } });
      assertRefused(await call("ADD"), 11, /Cannot reach the tortie agent/);
      assertRefused(await call("STATUS"), 50, /Cannot reach the tortie agent/);
      assert.equal(existsSync(spool), false);
      for (const _ of [1, 2]) {
        const { code, stdout } = await call("DEL");
        assert.deepEqual([code, stdout], [0, ""]);
      }
      const [file = "", ...others] = await readdir(spool);
      assert.deepEqual([file, others], ["calico@id-away@eth0", []]);
      assert.equal((await stat(spool)).mode & 0o777, 0o700);
      assert.equal((await stat(join(spool, file))).mode & 0o777, 0o600);
      const written = await readFile(join(spool, file));
      assert.equal(decodeCall(written).stdin, JSON.stringify(cniConfig));
      writtenDown.push(written.toString().replaceAll(pod.path, "NETNS"));
      const env = { CNI_CONTAINERID: "../../etc/cron" };
      assertRefused(await alone.call({ command: "DEL", pod: "away", env }), 4, /CNI_CONTAINERID/);
      const full = new CniRuntime(program, join(folder, "none.sock"), join(spool, file, "below"));
      assertRefused(await full.call({ command: "DEL", pod: "away" }), 5, /nor write the deletion/);
    });
  });
}

test("both plugins write the same down", () => {
  assert.equal(writtenDown.length, 2);
  assert.equal(writtenDown[0], writtenDown[1]);
});

test("the agent's socket and its folder are for their owner alone", async () => {
  assert.equal((await stat(socket)).mode & 0o777, 0o600);
  assert.equal((await stat(dirname(socket))).mode & 0o777, 0o700);
});

test("a caller who is not root is refused, even where the socket's mode would let him", async () => {
  const open = [socket, dirname(socket), lab.folder, paths.folder, paths.nodeFolder("node1")];
  const shut = dirname(paths.nodeFolder("node1"));
  const before = await Promise.all([...open, shut].map(async (path) => (await stat(path)).mode));
  for (const path of [...open, shut]) await chmod(path, 0o777);
  try {
    using pod = new TestNetns("nobody");
    const runtime = new CniRuntime(cniPlugins.shim, socket);
    const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    const ran = await runtime.call({ command: "ADD", pod: "nobody", netns: pod.path }, nobody);
    assertRefused(ran, 4, /only root/);
  } finally {
    for (const [at, path] of [...open, shut].entries()) await chmod(path, before[at] ?? 0o700);
  }
});

test("bytes that are no request are refused, and the agent goes on", async () => {
  for (const bytes of ["GET / HTTP/1.1\r\n\r\n", "TORTIE-CNI/1\nPATH=/\0\0{}", "TORTIE-CNI/1\n"]) {
    const answer = await exchange(bytes);
    assert.equal(answer[0], 1, bytes);
    assert.equal(JSON.parse(answer.toString("utf8", 1)).code, 6, bytes);
  }
  assert.ok(existsSync(socket));
});

test("a descriptor that the caller does not hold is refused, and named", async () => {
  for (const number of ["99999", "../1"]) {
    const answer = await exchange(`TORTIE-CNI/1\nCNI_COMMAND=ADD\0TORTIE_NETNS_FD=${number}\0\0{}`);
    const { code, msg } = JSON.parse(answer.toString("utf8", 1));
    assert.equal(code, 4);
    assert.match(msg, /descriptor/);
    assert.ok(msg.includes(number), msg);
  }
});

// Last: it starts the agent anew.
test("a changed FelixConfiguration acts, and nobody starts anything again", async () => {
  const mark = async () => {
    const rules = await lab.inside(node, "iptables-save", "-t", "filter");
    return /-A FORWARD .*--set-xmark (0x[0-9a-f]+)/.exec(rules)?.[1];
  };
  assert.equal(await mark(), "0x10000");
  await lab.apply(`
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {iptablesMarkMask: ${0xff00_0000}}
`);
  const acts = async () => (await mark()) === "0x1000000";
  await waitFor(acts, { timeoutMs: 20_000, what: "the other mark" });
});

function exchange(bytes: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    connect(socket)
      .on("data", (chunk) => chunks.push(chunk))
      .on("error", reject)
      .on("close", () => resolve(Buffer.concat(chunks)))
      .end(bytes);
  });
}
