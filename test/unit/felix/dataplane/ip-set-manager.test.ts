import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { ActivePool, DataplaneUpdate } from "../../../../src/felix/calc/updates.ts";
import { IpSetManager } from "../../../../src/felix/dataplane/ip-set-manager.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";

function pool(id: string, cidr: string, rest: Partial<ActivePool> = {}): DataplaneUpdate {
  const value: ActivePool = {
    cidr: parsePrefix(cidr),
    natOutgoing: false,
    poolClass: "noEncap",
    crossSubnet: false,
    ...rest,
  };
  return { op: "set", kind: "pool", id, value };
}

function host(node: string, v4: string, v6: string): DataplaneUpdate {
  const end = (text: string, length: number) => ({ address: parseIpAddr(text), length });
  return { op: "set", kind: "host", id: node, value: { v4: end(v4, 24), v6: end(v6, 64) } };
}

/** Names and members of what changed. */
function changes(manager: IpSetManager): Record<string, string[] | undefined> {
  return Object.fromEntries(
    [...manager.takeChanges()].map(([name, set]) => [name, set && [...set.members].sort()]),
  );
}

test("IpSetManager makes the static sets of its family from pools and nodes", () => {
  const manager = new IpSetManager(4);
  manager.onUpdate(pool("a", "10.0.0.0/16", { natOutgoing: true }));
  manager.onUpdate(pool("b", "10.1.0.0/16"));
  manager.onUpdate(pool("c", "fd00::/48", { natOutgoing: true, poolClass: "vxlan" }));
  manager.onUpdate(host("node-a", "192.168.1.11", "2001:db8::11"));
  assert.deepEqual(changes(manager), {
    "cali40masq-ipam-pools": ["10.0.0.0/16"],
    "cali40network-ip-pools": ["10.0.0.0/16", "10.1.0.0/16"],
    "cali40all-hosts-net": ["192.168.1.11/32"],
    "cali40all-vxlan-net": ["192.168.1.11/32"],
  });
  assert.equal(manager.natOutgoing, true);
  assert.equal(manager.usesVxlan, false);
  assert.equal(manager.hostAddress("node-a"), "192.168.1.11");
  manager.onUpdate({ op: "remove", kind: "pool", id: "a" });
  assert.equal(manager.natOutgoing, false);
  assert.deepEqual(changes(manager)["cali40masq-ipam-pools"], []);
});

test("IpSetManager tells a change once, and a set that is gone as undefined", () => {
  const manager = new IpSetManager(6);
  changes(manager);
  const value = { type: "hash:net", members: new Set(["10.0.0.1/32", "fd00::1/128"]) } as const;
  manager.onUpdate({ op: "set", kind: "ipSet", id: "s:abc", value });
  assert.deepEqual(changes(manager), { "cali60s:abc": ["10.0.0.1/32", "fd00::1/128"] });
  assert.deepEqual(changes(manager), {});
  manager.onUpdate({ op: "remove", kind: "ipSet", id: "s:abc" });
  assert.deepEqual(changes(manager), { "cali60s:abc": undefined });
});
