import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { openLinuxKernel } from "../../src/kernel/linux-kernel.ts";
import { closeNetns, openNetns } from "../../src/kernel/netns.ts";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import { cannotMakeNetns, TestNetns } from "../support/netns.ts";

describe("a Kernel from open to close", { skip: cannotMakeNetns() }, () => {
  let netns: TestNetns;

  before(() => {
    netns = new TestNetns("life");
    netns.addVeth("v0", "v1");
  });

  after(() => netns.remove());

  test("stays in its namespace when the descriptor is closed, and is of no use once closed", async () => {
    const fd = openNetns(netns.path);
    const kernel = openLinuxKernel({ netnsFd: fd });
    closeNetns(fd);
    const names = (await kernel.links.list()).map(({ name }) => name);
    assert.deepEqual(names.sort(), ["lo", "v0", "v1"]);
    kernel.close();
    kernel.close();
    await assert.rejects(kernel.links.list(), { name: "NetlinkError", message: /closed/ });
    await assert.rejects(kernel.routes.lookup("10.0.0.1" as IpAddr), /closed/);
  });

  test("close() lets end what is under way, and leaves no descriptor", async () => {
    const openFiles = () => readdirSync("/proc/self/fd").length;
    await openAndClose();
    const before = openFiles();
    for (let i = 0; i < 20; i++) await openAndClose();
    assert.equal(openFiles(), before);
  });

  async function openAndClose(): Promise<void> {
    const kernel = openLinuxKernel({ netnsFd: netns.fd });
    const stop = new AbortController();
    const ended = kernel.monitor(() => undefined, stop.signal);
    const links = kernel.links.list();
    const link = kernel.links.get("v0");
    kernel.close();
    assert.equal((await links).length, 3);
    assert.equal((await link)?.name, "v0");
    stop.abort();
    await ended;
  }

  // Node joins its pool's threads at the end: one that waits in poll(2) must be woken for it.
  for (const [how, code, statement] of [
    ["exits", 7, "process.exit(7)"],
    ["dies of an error", 1, "throw new Error()"],
  ] as const) {
    test(`a process that ${how} while it watches the kernel does end`, () => {
      const source = new URL("../../src/kernel/linux-kernel.ts", import.meta.url).href;
      const program = `
        import { openLinuxKernel } from ${JSON.stringify(source)};
        void openLinuxKernel().monitor(() => undefined, new AbortController().signal);
        setTimeout(() => { ${statement} }, 50);`;
      const args = ["--input-type=module", "-e", program];
      const child = spawnSync(process.execPath, args, { timeout: 10_000, encoding: "utf8" });
      assert.equal(child.status, code, child.stderr);
    });
  }
});
