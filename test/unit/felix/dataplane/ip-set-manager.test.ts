import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { ActivePool, DataplaneUpdate } from "../../../../src/felix/calc/updates.ts";
import { felixConfig } from "../../../../src/felix/config/felix-config.ts";
import { IpSetManager } from "../../../../src/felix/dataplane/ip-set-manager.ts";
import { type IpAddr, parseIpAddr } from "../../../../src/lib/ip-addr.ts";
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

/** A manager, and names and members of what changed since the last look. */
function watched(family: 4 | 6) {
  let changed: Record<string, string[] | undefined> = {};
  const manager = new IpSetManager(
    family,
    {
      set: (name, set) => {
        changed[name] = [...set.members].sort();
      },
      change: (name, { add, remove }) => {
        changed[name] = [
          ...[...add].map((one) => `+${one}`),
          ...[...remove].map((one) => `-${one}`),
        ];
      },
      delete: (name) => {
        changed[name] = undefined;
      },
    },
    felixConfig({ env: {} }),
  );
  const changes = () => {
    manager.refreshStatic();
    const seen = changed;
    changed = {};
    return seen;
  };
  return { manager, changes };
}

test("IpSetManager makes the static sets of its family from pools and nodes", () => {
  const { manager, changes } = watched(4);
  manager.onUpdate(pool("a", "10.0.0.0/16", { natOutgoing: true }));
  manager.onUpdate(pool("b", "10.1.0.0/16"));
  manager.onUpdate(pool("c", "fd00::/48", { natOutgoing: true, poolClass: "vxlan" }));
  manager.onUpdate(host("node-a", "192.168.1.11", "2001:db8::11"));
  assert.deepEqual(changes(), {
    "cali40masq-ipam-pools": ["10.0.0.0/16"],
    "cali40network-ip-pools": ["10.0.0.0/16", "10.1.0.0/16"],
    "cali40all-hosts-net": ["192.168.1.11/32"],
    "cali40all-vxlan-net": ["192.168.1.11/32"],
    "cali40this-host": [],
    "cali40dscp-src-net": [],
  });
  assert.equal(manager.natOutgoing, true);
  assert.equal(manager.uses("vxlan"), false);
  assert.equal(manager.hostAddress("node-a"), "192.168.1.11");
  manager.onUpdate({ op: "remove", kind: "pool", id: "a" });
  assert.equal(manager.natOutgoing, false);
  assert.deepEqual(changes()["cali40masq-ipam-pools"], []);
});

test("IpSetManager has sets of the host's addresses and of pods that ask for a code point", () => {
  const { manager, changes } = watched(4);
  changes();
  manager.localAddresses = ["192.168.1.11", "fd00::11", "127.0.0.1"] as IpAddr[];
  manager.dscpSources = ["10.0.0.1"] as IpAddr[];
  const sets = changes();
  assert.deepEqual(sets["cali40this-host"], ["127.0.0.1", "192.168.1.11"]);
  assert.deepEqual(sets["cali40dscp-src-net"], ["10.0.0.1/32"]);
  manager.localAddresses = ["127.0.0.1", "192.168.1.11"] as IpAddr[];
  assert.deepEqual(changes(), {}, "the same in another order");
  assert.equal(manager.isLocalAddress("192.168.1.11" as IpAddr), true);
});

test("IpSetManager tells a change once, and a set that is gone as undefined", () => {
  const { manager, changes } = watched(6);
  changes();
  const value = { type: "hash:net", members: new Set(["10.0.0.1/32", "fd00::1/128"]) } as const;
  manager.onUpdate({ op: "set", kind: "ipSet", id: "s:abc", value });
  assert.deepEqual(changes(), { "cali60s:abc": ["10.0.0.1/32", "fd00::1/128"] });
  assert.deepEqual(changes(), {});
  const change = { add: new Set(["10.0.0.2/32"]), remove: new Set(["10.0.0.1/32"]) };
  manager.onUpdate({ op: "change", kind: "ipSet", id: "s:abc", value: change });
  assert.deepEqual(changes(), { "cali60s:abc": ["+10.0.0.2/32", "-10.0.0.1/32"] });
  manager.onUpdate({ op: "remove", kind: "ipSet", id: "s:abc" });
  assert.deepEqual(changes(), { "cali60s:abc": undefined });
});
