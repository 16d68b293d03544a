import assert from "node:assert/strict";
import { test } from "node:test";
import { helperPrograms } from "../../../src/kernel/exec-helper-protocol.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { parsePrefix } from "../../../src/lib/prefix.ts";
import { takeoverAreas } from "../../../src/wiring/takeover-areas.ts";
import { FakeKernel } from "../../support/fake-kernel.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";

/** What nothing in the kernel tells of: the sessions of bgp. No felix runs here. */

const password = { secretKeyRef: { name: "bgp", key: "password" } };

async function areaOfBgp(peer?: object, env: Readonly<Record<string, string>> = {}) {
  const object = (kind: string, name: string, spec: object) =>
    ({ apiVersion: "projectcalico.org/v3", kind, metadata: { name }, spec }) as never;
  const datastore = new MemoryDatastore([
    object("Node", "node1", { bgp: { ipv4Address: "192.0.2.1/24" } }),
    ...(peer === undefined ? [] : [object("BGPPeer", "rack", peer)]),
  ]);
  const kernel = new FakeKernel();
  const route = { table: 254, priority: 0, kind: "unicast", scope: "universe", protocol: 12 };
  await kernel.routes.replace([
    { ...route, destination: parsePrefix("10.1.0.0/26"), ifindex: 1 } as never,
  ]);
  const areas = await takeoverAreas({
    nodeName: "node1",
    env: { CALICO_DISABLE_FELIX: "true", TORTIE_SECRETS_PATH: "/nowhere", IP: "none", ...env },
    datastore,
    kernel,
    exec: {
      run: () => assert.fail(`nothing is to be run, none of ${helperPrograms.length} programs`),
      close: () => undefined,
    },
    clock: systemClock,
    ipv6: true,
  });
  return areas.find(({ name }) => name === "routes of bgp") ?? assert.fail("no such area");
}

test("takeoverAreas: a BGPPeer that cannot be used gives no verdict", async () => {
  const peer = { peerIP: "192.0.2.9", asNumber: 64_512 };
  assert.equal((await areaOfBgp(peer)).error, undefined);
  const locked = await areaOfBgp({ ...peer, password });
  assert.match(
    locked.error ?? "",
    /^Cannot use session Global_192_0_2_9: password "bgp\/password" cannot be used: .*ENOENT/,
  );
  const ofOtherFamily = await areaOfBgp({ ...peer, peerIP: "2001:db8::9" });
  assert.equal(ofOtherFamily.error, undefined);
  const invalid = await areaOfBgp({ ...peer, asNumber: "many" });
  assert.match(invalid.error ?? "", /^resource ignored: .*BGPPeer "rack": spec.asNumber/);
});

test("takeoverAreas: BIRD's routes where no speaker would run say that sessions would end", async () => {
  const { findings, equal } = await areaOfBgp(undefined, { CALICO_NETWORKING_BACKEND: "vxlan" });
  assert.equal(equal, 1);
  assert.deepEqual(
    findings.map(({ what, interrupts }) => [what, interrupts]),
    [["who looks after 1 routes of protocol 12", true]],
  );
});
