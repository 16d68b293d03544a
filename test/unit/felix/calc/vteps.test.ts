import { strict as assert } from "node:assert";
import { test } from "node:test";
import { vtepMac } from "../../../../src/api/names.ts";
import { vtepOf } from "../../../../src/felix/calc/vteps.ts";
import { node } from "../../../states/resources.ts";

test("a node without a tunnel address, or without an address of the family, has no VTEP", () => {
  assert.equal(vtepOf(node("n", "192.0.2.1/24")), undefined);
  assert.equal(vtepOf(node("n", "", { ipv4VXLANTunnelAddr: "10.0.0.0" })), undefined);
  assert.equal(vtepOf(node("n", "192.0.2.1/24", { ipv6VXLANTunnelAddr: "fd00::1" })), undefined);
  assert.equal(vtepOf(node("n", "192.0.2.1/24", { ipv4VXLANTunnelAddr: "" })), undefined);
});

test("the MAC is the node's own, or follows from its name and the family", () => {
  const bgp = { ipv4Address: "192.0.2.1/24", ipv6Address: "2001:db8::1/64" };
  const tunnels = { bgp, ipv4VXLANTunnelAddr: "10.0.0.0", ipv6VXLANTunnelAddr: "FD00::0" };
  assert.deepEqual(vtepOf(node("n", "", tunnels)), {
    node: "n",
    v4: { tunnelAddress: "10.0.0.0", mac: vtepMac("n", 4), nodeAddress: "192.0.2.1" },
    v6: { tunnelAddress: "fd00::", mac: vtepMac("n", 6), nodeAddress: "2001:db8::1" },
  });
  const own = { vxlanTunnelMACAddr: "66:AA:00:00:00:01", vxlanTunnelMACAddrV6: "" };
  const vtep = vtepOf(node("n", "", { ...tunnels, ...own }));
  assert.equal(vtep?.v4?.mac, "66:aa:00:00:00:01");
  assert.equal(vtep?.v6?.mac, vtepMac("n", 6));
});
