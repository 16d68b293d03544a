import assert from "node:assert/strict";
import { test } from "node:test";
import type { KernelEvent, KernelRoute } from "../../../src/kernel/kernel.ts";
import type { IpAddr } from "../../../src/lib/ip-addr.ts";
import type { Prefix } from "../../../src/lib/prefix.ts";
import { FakeKernel } from "../../support/fake-kernel.ts";

const route = (destination: string, more: Partial<KernelRoute> = {}): KernelRoute => ({
  table: 254,
  priority: 0,
  kind: "unicast",
  scope: "universe",
  protocol: 80,
  destination: destination as Prefix,
  ...more,
});

test("routes are shown as ip route does, replaced by the kernel's key, removed by key and protocol", async () => {
  const kernel = new FakeKernel();
  const ifindex = kernel.addLink("eth0");
  const gateway = "10.0.0.9" as IpAddr;
  await kernel.routes.replace([
    route("10.1.0.0/26", { gateway, ifindex, onlink: true, mtu: 1400 }),
    route("10.2.0.1/32", { ifindex, protocol: 3, scope: "link" }),
    route("10.3.0.0/26", { kind: "blackhole" }),
    route("0.0.0.0/0", { gateway, ifindex, protocol: 12 }),
    route("10.1.0.0/26", { gateway, ifindex, priority: 7 }),
    route("10.3.0.0/26", { kind: "blackhole", protocol: 12 }),
  ]);
  await kernel.routes.remove([route("10.2.0.1/32", { protocol: 80 })]);
  assert.deepEqual(kernel.text(), [
    "10.1.0.0/26 via 10.0.0.9 dev eth0 proto 80 metric 7",
    "10.1.0.0/26 via 10.0.0.9 dev eth0 proto 80 onlink mtu 1400",
    "10.2.0.1 dev eth0 scope link",
    "blackhole 10.3.0.0/26 proto bird",
    "default via 10.0.0.9 dev eth0 proto bird",
  ]);
  assert.equal((await kernel.routes.lookup("10.2.0.1" as IpAddr))?.protocol, 3);
  await kernel.links.remove(ifindex);
  assert.deepEqual(kernel.text(), ["blackhole 10.3.0.0/26 proto bird"]);
});

test("failNext() refuses one entry, and the others are done", async () => {
  const kernel = new FakeKernel();
  kernel.failNext("routes", 101);
  const [bad, good] = [route("10.1.0.0/26"), route("10.2.0.0/26")];
  const failures = await kernel.routes.replace([bad, good]);
  assert.deepEqual(
    failures.map(({ entry, errno }) => [entry, errno]),
    [[bad, 101]],
  );
  assert.deepEqual(await kernel.routes.list(), [good]);
  assert.deepEqual(await kernel.routes.replace([bad]), []);
  kernel.failNext("links", 16);
  await assert.rejects(kernel.links.addBridge("br0"), { name: "NetlinkError", errno: 16 });
  await kernel.links.addBridge("br0");
  await assert.rejects(kernel.links.addBridge("br0"), { errno: 17 });
});

test("monitor() tells what is emitted until its signal aborts", async () => {
  const kernel = new FakeKernel();
  const end = new AbortController();
  const heard: KernelEvent[] = [];
  const ended = kernel.monitor((events) => heard.push(...events), end.signal);
  kernel.emit({ kind: "lost" });
  end.abort();
  await ended;
  kernel.emit({ kind: "lost" });
  assert.deepEqual(heard, [{ kind: "lost" }]);
});
