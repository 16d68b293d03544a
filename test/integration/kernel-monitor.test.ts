import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { Kernel, KernelEvent } from "../../src/kernel/kernel.ts";
import { openLinuxKernel } from "../../src/kernel/linux-kernel.ts";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import { cannotMakeNetns, TestNetns } from "../support/netns.ts";
import { waitFor } from "../support/wait-for.ts";

describe("events of the kernel", { skip: cannotMakeNetns() }, () => {
  let netns: TestNetns;
  let kernel: Kernel;
  let events: KernelEvent[] = [];
  const end = new AbortController();
  let watching: Promise<void>;

  before(() => {
    netns = new TestNetns("mon");
    netns.addVeth("v0", "v1");
    netns.ip("addr add 10.0.0.1/24 dev v0");
    kernel = openLinuxKernel({ netnsFd: netns.fd });
    watching = kernel.monitor((more) => events.push(...more), end.signal);
  });

  after(async () => {
    end.abort();
    await watching;
    kernel.close();
    netns.remove();
  });

  async function heard(words: string, wanted: (event: KernelEvent) => boolean): Promise<void> {
    events = [];
    netns.ip(words);
    await waitFor(() => events.some(wanted), { what: words });
  }

  const route = (op: "set" | "removed", destination: string) => (event: KernelEvent) =>
    event.kind === "route" && event.op === op && event.route.destination === destination;
  const link = (op: "set" | "removed", name: string, up?: boolean) => (event: KernelEvent) =>
    event.kind === "link" &&
    event.op === op &&
    event.link.name === name &&
    (up === undefined || event.link.up === up);

  const rows: readonly (readonly [string, string, (event: KernelEvent) => boolean])[] = [
    ["a new route", "route add 10.9.0.0/24 via 10.0.0.9 proto 80", route("set", "10.9.0.0/24")],
    ["a removed route", "route del 10.9.0.0/24", route("removed", "10.9.0.0/24")],
    ["a new IPv6 route", "route add fd09::/64 dev v0", route("set", "fd09::/64")],
    ["a removed IPv6 route", "route del fd09::/64", route("removed", "fd09::/64")],
    [
      "a new address",
      "addr add 10.0.0.2/24 dev v0",
      (event) =>
        event.kind === "address" && event.op === "set" && event.address.address === "10.0.0.2",
    ],
    [
      "a removed address",
      "addr del 10.0.0.2/24 dev v0",
      (event) =>
        event.kind === "address" && event.op === "removed" && event.address.address === "10.0.0.2",
    ],
    [
      "a new neighbor",
      "neigh add 10.0.0.7 lladdr 66:00:00:00:00:01 dev v0 nud permanent",
      (event) =>
        event.kind === "neighbor" &&
        event.op === "set" &&
        event.neighbor.mac === "66:00:00:00:00:01",
    ],
    [
      "a removed neighbor",
      "neigh del 10.0.0.7 dev v0",
      (event) =>
        event.kind === "neighbor" &&
        event.op === "removed" &&
        event.neighbor.address === ("10.0.0.7" as IpAddr),
    ],
    ["a new link", "link add d0 type bridge", link("set", "d0", false)],
    ["a link that goes up", "link set d0 up", link("set", "d0", true)],
    ["a removed link", "link del d0", link("removed", "d0")],
  ];

  for (const [what, words, wanted] of rows) {
    test(`${what} is heard`, () => heard(words, wanted));
  }

  test("a port that leaves its bridge is no link that goes", async () => {
    netns.ip("link add br0 type bridge");
    netns.ip("link set v1 master br0");
    await heard("link set v1 nomaster", link("set", "v1"));
    assert.ok(!events.some(link("removed", "v1")));
  });

  test("events that did not fit the buffer are said to be lost, and the next ones are heard", async () => {
    const batch = `/tmp/${netns.name}.batch`;
    const routes = Array.from(
      { length: 40_000 },
      (_, i) => `route add 10.${100 + (i >> 14)}.${(i >> 6) & 255}.${(i & 63) << 2}/30 dev v0`,
    );
    writeFileSync(batch, routes.join("\n"));
    events = [];
    // It holds up the event loop: nobody reads meanwhile.
    netns.run("sh", ["-c", `ip -batch ${batch}; rm ${batch}`]);
    await waitFor(() => events.some(({ kind }) => kind === "lost"), { timeoutMs: 5_000 });
    await heard("route add 10.8.0.0/24 dev v0", route("set", "10.8.0.0/24"));
  });

  test("monitor() ends when its signal aborts, also one that was aborted before", async () => {
    const stop = new AbortController();
    const ended = kernel.monitor(() => undefined, stop.signal);
    stop.abort();
    await ended;
    await kernel.monitor(() => assert.fail("no events"), stop.signal);
  });

  test("monitor() rejects with what the listener throws", async () => {
    const never = new AbortController();
    const ended = kernel.monitor(() => {
      throw new Error("the listener's");
    }, never.signal);
    const rejected = assert.rejects(ended, /the listener's/);
    netns.ip("link set v1 mtu 1400");
    await rejected;
  });
});
