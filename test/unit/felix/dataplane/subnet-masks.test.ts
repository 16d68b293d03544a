import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { DataplaneUpdate } from "../../../../src/felix/calc/updates.ts";
import { SubnetMasks } from "../../../../src/felix/dataplane/subnet-masks.ts";
import { parseInterfaceAddress, parsePrefix } from "../../../../src/lib/prefix.ts";

function host(id: string, v4: string, v6?: string): DataplaneUpdate {
  const addresses = {
    v4: parseInterfaceAddress(v4),
    ...(v6 === undefined ? {} : { v6: parseInterfaceAddress(v6) }),
  };
  return { op: "set", kind: "host", id, value: addresses };
}

function pool(crossSubnet: boolean): DataplaneUpdate {
  const value = { natOutgoing: true, poolClass: "vxlan", crossSubnet } as const;
  return {
    op: "set",
    kind: "pool",
    id: "p",
    value: { cidr: parsePrefix("10.0.0.0/16"), ...value },
  };
}

function newsOf(...updates: readonly DataplaneUpdate[]) {
  const masks = new SubnetMasks("node-a");
  for (const update of updates) masks.onUpdate(update);
  return {
    masks,
    nodes: masks.news().map(({ node, address, own }) => `${node} ${address} ${own}`),
  };
}

test("SubnetMasks tells of a node that is in our subnet while we are not in its", () => {
  const own = host("node-a", "192.168.1.11/24");
  const others = [
    host("node-b", "192.168.1.12/24"),
    host("node-c", "192.168.1.200/25"),
    host("node-d", "192.168.2.13/16"),
    host("node-e", "192.168.3.14/24"),
  ];
  const expected = [
    "node-c 192.168.1.200/25 192.168.1.11/24",
    "node-d 192.168.2.13/16 192.168.1.11/24",
  ];
  const { masks, nodes } = newsOf(pool(true), ...others, own);
  assert.deepEqual(nodes, expected);
  masks.onUpdate(host("node-b", "192.168.1.12/24"));
  assert.deepEqual(masks.news(), [], "each is told once");
  assert.deepEqual(newsOf(pool(false), ...others, own).nodes, [], "no CrossSubnet");
});

test("SubnetMasks looks at both families", () => {
  const own = host("node-a", "192.168.1.11/24", "2001:db8::1/64");
  const { nodes } = newsOf(pool(true), own, host("node-b", "192.168.1.12/24", "2001:db8::12/126"));
  assert.deepEqual(nodes, ["node-b 2001:db8::12/126 2001:db8::1/64"]);
});
