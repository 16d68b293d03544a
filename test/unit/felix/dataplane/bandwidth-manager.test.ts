import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Bandwidth, EndpointQos } from "../../../../src/felix/calc/updates.ts";
import { BandwidthManager } from "../../../../src/felix/dataplane/bandwidth-manager.ts";
import { KernelLinks } from "../../../../src/felix/dataplane/kernel-links.ts";
import { ifbName, sameBucket, tokenBucket } from "../../../../src/felix/dataplane/token-bucket.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { FakeKernel } from "../../../support/fake-kernel.ts";

const bandwidth: Bandwidth = { rate: 8_000_000, burst: 80_000 };
const both: EndpointQos = { ingress: { bandwidth }, egress: { bandwidth } };

describe("tokenBucket()", () => {
  test("has Calico's figures", () => {
    assert.deepEqual(tokenBucket(bandwidth, 1500), {
      rate: 1_000_000,
      buffer: 156_250,
      limit: 181_250,
    });
    // Calico's default burst takes longer to fill than the kernel can count.
    assert.deepEqual(tokenBucket({ rate: 1000, burst: 2 ** 32 }, 1500), {
      rate: 125,
      buffer: 0xffffffff,
      limit: 0xffffffff,
    });
    const peak = { rate: 16_000_000, minburst: 100 };
    assert.deepEqual(tokenBucket({ ...bandwidth, peak }, 1500), {
      rate: 1_000_000,
      buffer: 156_250,
      limit: 50_781,
      peak: { rate: 2_000_000, minburst: 1514 },
    });
  });

  test("is the same when the kernel has rounded the peak's burst", () => {
    const peak = { rate: 16_000_000_000, minburst: 2000 };
    const wanted = tokenBucket({ rate: 8_000_000_000, burst: 80_000, peak }, 1500);
    const listed = { ...wanted, peak: { rate: 2_000_000_000, minburst: 1920 } };
    assert.equal(sameBucket(wanted, listed), true);
    const other = { ...wanted, peak: { rate: 2_000_000_000, minburst: 1500 } };
    assert.equal(sameBucket(wanted, other), false);
    assert.equal(sameBucket(wanted, { ...wanted, limit: 1 }), false);
  });
});

test("ifbName() is that of Calico", () => {
  assert.equal(ifbName("cali0d7763386da"), "bwcali5a920c094");
});

describe("BandwidthManager", () => {
  async function setUp() {
    const kernel = new FakeKernel();
    const ifindex = kernel.addLink("calia", { mtu: 1400 });
    const links = new KernelLinks(kernel.links, systemClock);
    await links.refresh();
    const apply = async (qos?: EndpointQos, manager = new BandwidthManager(kernel, links)) => {
      const link = links.byName("calia");
      assert.ok(link);
      const endpoint = {
        interfaceName: "calia",
        addresses: [],
        tiers: [],
        profiles: [],
        allowedSourcePrefixes: [],
        floating: [],
        ...(qos === undefined ? {} : { qos }),
      };
      const errors = await manager.apply([{ link, endpoint }]);
      // The kernel tells of links that come and go.
      for (const one of links.withPrefix("bwcali")) {
        if ((await kernel.links.get(one.ifindex)) === undefined) {
          links.take({ kind: "link", op: "removed", link: one });
        }
      }
      return errors;
    };
    return { kernel, ifindex, links, apply };
  }

  test("limits the veth for what goes to the pod, a device of its own for what it sends", async () => {
    const { kernel, ifindex, links, apply } = await setUp();
    assert.deepEqual(await apply(both), []);
    const ifb = links.byName(ifbName("calia"));
    assert.deepEqual([ifb?.type, ifb?.mtu], ["ifb", 1400]);
    const { limits, redirects } = await kernel.traffic.list();
    assert.deepEqual([...limits.keys()], [ifindex, ifb?.ifindex]);
    assert.deepEqual([...redirects], [[ifindex, ifb?.ifindex]]);
  });

  test("writes nothing that is there, and takes away what nobody wants", async () => {
    const { kernel, links, apply } = await setUp();
    await apply(both);
    kernel.failNext("traffic", 5);
    assert.deepEqual(await apply(both), [], "nothing is written");
    await apply();
    const { limits, redirects } = await kernel.traffic.list();
    assert.equal(redirects.size, 0);
    assert.equal(limits.has(links.byName("calia")?.ifindex ?? 0), false);
    assert.deepEqual(links.withPrefix("bwcali"), []);
  });

  test("tries again what failed", async () => {
    const { kernel, ifindex, links, apply } = await setUp();
    const manager = new BandwidthManager(kernel, links);
    kernel.failNext("traffic", 5);
    assert.equal((await apply(both, manager)).length, 1);
    assert.deepEqual(await apply(both, manager), []);
    assert.equal((await kernel.traffic.list()).limits.has(ifindex), true);
  });

  test("what one pod is refused keeps no other without its limits", async () => {
    const kernel = new FakeKernel();
    const links = new KernelLinks(kernel.links, systemClock);
    for (const name of ["calia", "calib"]) kernel.addLink(name);
    await links.refresh();
    const endpoint = { tiers: [], profiles: [], allowedSourcePrefixes: [], floating: [] };
    const present = ["calia", "calib"].flatMap((name) => {
      const link = links.byName(name);
      const pod = { ...endpoint, interfaceName: name, addresses: [], qos: both };
      return link === undefined ? [] : [{ link, endpoint: pod }];
    });
    kernel.failNext("traffic", 22);
    assert.equal((await new BandwidthManager(kernel, links).apply(present)).length, 1);
    const { limits } = await kernel.traffic.list();
    assert.deepEqual(
      present.map(({ link }) => limits.has(link.ifindex)),
      [false, true],
    );
  });

  test("a redirect whose device is gone goes too, and none of others", async () => {
    const { kernel, ifindex, apply } = await setUp();
    await kernel.traffic.redirect(ifindex, 0);
    await apply();
    assert.equal((await kernel.traffic.list()).redirects.size, 0);
    await kernel.traffic.redirect(ifindex, kernel.addLink("bwp1"));
    await apply();
    assert.equal((await kernel.traffic.list()).redirects.size, 1);
  });
});
