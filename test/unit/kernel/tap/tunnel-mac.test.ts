import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeOfMac, tunnelMac } from "../../../../src/kernel/tap/tunnel-mac.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parseMac } from "../../../../src/lib/mac.ts";

test("a MAC address in the UDP tunnel names its node, there and back", () => {
  const mac = tunnelMac(parseIpAddr("192.168.1.11"));
  assert.equal(mac, "02:85:c0:a8:01:0b");
  assert.equal(nodeOfMac(mac), "192.168.1.11");
  assert.equal(nodeOfMac(parseMac("66:85:c0:a8:01:0b")), undefined);
});

test("the MAC address of a node of IPv6 is a hash: one of a single interface, and no name of IPv4", () => {
  const [one, other] = ["fd00::1", "fd00::2"].map((text) => tunnelMac(parseIpAddr(text)));
  assert.match(one ?? "", /^06:/);
  assert.notEqual(one, other);
  assert.equal(nodeOfMac(one ?? parseMac("")), undefined);
});
