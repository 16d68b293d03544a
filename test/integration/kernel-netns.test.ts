import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import {
  closeNetns,
  inNetns,
  isNetworkNamespace,
  isSameNamespace,
  openNetns,
  ownNetns,
} from "../../src/kernel/netns.ts";
import { readSysctl, writeSysctl } from "../../src/kernel/sysctl.ts";
import { cannotMakeNetns, TestNetns } from "../support/netns.ts";

/** The namespaces of all threads of this process, each once. */
function namespacesOfThreads(): string[] {
  const tasks = readdirSync("/proc/self/task");
  return [...new Set(tasks.map((task) => readlinkSync(`/proc/self/task/${task}/ns/net`)))];
}

describe("network namespaces", { skip: cannotMakeNetns() }, () => {
  let netns: TestNetns;
  const home = readlinkSync("/proc/self/ns/net");

  before(() => {
    netns = new TestNetns("ns");
    netns.addVeth("eth0.5", "v1");
  });
  after(() => netns.remove());

  test("isNetworkNamespace() takes network namespaces only", () => {
    const folder = mkdtempSync(join(tmpdir(), "tt-netns-"));
    const rows: [string, boolean][] = [
      ["/proc/self/ns/net", true],
      [netns.path, true],
      ["/proc/self/ns/mnt", false],
      ["/proc/self/ns/pid", false],
      ["/proc/self/ns/uts", false],
      ["/proc/self/status", false],
      ["/dev/null", false],
      [folder, false],
    ];
    try {
      for (const [path, expected] of rows) {
        const fd = openSync(path, "r");
        assert.equal(isNetworkNamespace(fd), expected, path);
        closeSync(fd);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
    assert.equal(isNetworkNamespace(-1), false);
  });

  test("isSameNamespace() compares what the descriptors mean, not their numbers", () => {
    const again = openNetns(netns.path);
    assert.equal(isSameNamespace(again, netns.fd), true);
    assert.equal(isSameNamespace(again, ownNetns()), false);
    closeNetns(again);
  });

  test("inNetns() works there, and comes back", () => {
    const there = inNetns(netns.fd, () => readlinkSync("/proc/thread-self/ns/net"));
    assert.notEqual(there, home);
    assert.equal(readlinkSync("/proc/thread-self/ns/net"), home);
  });

  test("inNetns() comes back also when the task throws", () => {
    assert.throws(
      () =>
        inNetns(netns.fd, () => {
          throw new Error("the task's");
        }),
      /the task's/,
    );
    assert.equal(readlinkSync("/proc/thread-self/ns/net"), home);
    assert.equal(
      inNetns(netns.fd, () => 42),
      42,
    );
  });

  test("inNetns() is not nested, and refuses what is no namespace", () => {
    assert.throws(() => inNetns(netns.fd, () => inNetns(netns.fd, () => 0)), /not nested/);
    assert.equal(readlinkSync("/proc/thread-self/ns/net"), home);
    const file = openSync("/dev/null", "r");
    assert.throws(() => inNetns(file, () => 0), { name: "NetlinkError", errno: 22 });
    closeSync(file);
    assert.equal(readlinkSync("/proc/thread-self/ns/net"), home);
  });

  test("a process whose first asynchronous call comes after inNetns() has no thread elsewhere", async () => {
    // In a process of its own: in this one the threads of the pool run already.
    const program = `
      import { readdirSync, readlinkSync } from "node:fs";
      import { readFile } from "node:fs/promises";
      import { inNetns, openNetns } from "${new URL("../../src/kernel/netns.ts", import.meta.url)}";
      const netns = openNetns("${netns.path}");
      const started = inNetns(netns, () => [1, 2, 3, 4, 5].map(() => readFile("/proc/sys/net/ipv4/ip_forward")));
      await Promise.all(started);
      const seen = await Promise.all([1, 2, 3, 4, 5].map(() => readFile("/proc/net/dev", "utf8")));
      const threads = readdirSync("/proc/self/task").map((task) => readlinkSync("/proc/self/task/" + task + "/ns/net"));
      console.log(JSON.stringify({ threads: [...new Set(threads)], foreign: seen.some((text) => text.includes("eth0.5")) }));
    `;
    const args = ["--input-type=module-typescript", "--eval", program];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    assert.deepEqual(JSON.parse(stdout), { threads: [home], foreign: false });
  });

  test("sysctls inside are those of the namespace; asynchronous files afterwards those of home", async () => {
    const path = ["net", "ipv4", "conf", "eth0.5", "rp_filter"];
    inNetns(netns.fd, () => {
      writeSysctl(path, "2");
      assert.equal(readSysctl(path), "2");
    });
    assert.equal(netns.run("cat", ["/proc/sys/net/ipv4/conf/eth0.5/rp_filter"]).trim(), "2");
    assert.deepEqual(namespacesOfThreads(), [home]);
    await assert.rejects(readFile("/proc/sys/net/ipv4/conf/eth0.5/rp_filter"), { code: "ENOENT" });
    assert.throws(() => readSysctl(path), { code: "ENOENT" });
  });

  test("writeSysctl() writes no value that is there already", () => {
    const path = ["net", "ipv4", "ip_forward"];
    inNetns(netns.fd, () => {
      writeSysctl(path, "1");
      // Writing ip_forward resets the settings of every interface: that would be seen here.
      writeSysctl(["net", "ipv4", "conf", "eth0.5", "accept_redirects"], "0");
      writeSysctl(["net", "ipv4", "conf", "eth0.5", "forwarding"], "0");
      writeSysctl(path, "1");
      assert.equal(readSysctl(["net", "ipv4", "conf", "eth0.5", "forwarding"]), "0");
      assert.throws(() => writeSysctl(path, "no number"), { code: "EINVAL" });
      assert.equal(readSysctl(path), "1");
    });
  });

  for (const part of ["", ".", "..", "../kernel", "a/b"]) {
    test(`a sysctl has no part "${part}"`, () => {
      assert.throws(() => readSysctl(["net", "ipv4", "conf", part, "rp_filter"]), RangeError);
      assert.throws(() => writeSysctl(["net", part], "1"), RangeError);
    });
  }
});
