import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClusterView, nodeAddress, nodeSourceAddress } from "../../../src/lab/cluster-view.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { node, pool } from "../../states/resources.ts";

const view = {
  nodes: [
    node("a", "192.168.1.11/24", {
      bgp: { ipv4Address: "192.168.1.11/24", ipv6Address: "2001:db8:1::11/64" },
      ipv4VXLANTunnelAddr: "10.244.1.0",
      ipv6VXLANTunnelAddr: "fd00:10:244::40",
    }),
    node("b", "192.168.1.12/24", {
      bgp: { ipv4Address: "192.168.1.12/24", ipv6Address: "2001:db8:2::12/64" },
    }),
    node("c", "192.168.1.13/24"),
  ],
  pools: [
    pool("v4", "10.244.0.0/16", { vxlanMode: "CrossSubnet" }),
    pool("v6", "fd00:10:244::/64", { vxlanMode: "CrossSubnet" }),
  ],
} as unknown as ClusterView;

test("nodeAddress() is that of the family, if there is one", () => {
  assert.equal(nodeAddress(view, "a", 4), "192.168.1.11");
  assert.equal(nodeAddress(view, "a", 6), "2001:db8:1::11");
  assert.equal(nodeAddress(view, "c", 6), undefined);
  assert.equal(nodeAddress(view, "nobody", 4), undefined);
});

test("nodeSourceAddress() tells each family's tunnel from its own subnet", () => {
  const from = (destination: string) =>
    nodeSourceAddress(view, "a", { node: "b", address: parseIpAddr(destination) });
  // The same segment in IPv4, another in IPv6.
  assert.equal(from("10.244.2.1"), "192.168.1.11");
  assert.equal(from("fd00:10:244::81"), "fd00:10:244::40");
});
