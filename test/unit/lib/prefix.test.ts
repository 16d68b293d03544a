import assert from "node:assert/strict";
import { SocketAddress } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { ipBits, ipBytes, ipFromBits, ipFromBytes, parseIpAddr } from "../../../src/lib/ip-addr.ts";
import {
  comparePrefixes,
  nthAddress,
  parseInterfaceAddress,
  parsePrefix,
  prefixContains,
  prefixesOverlap,
  prefixHasAddress,
  prefixOf,
  prefixSize,
} from "../../../src/lib/prefix.ts";

const ipv4 = fc.bigInt({ min: 0n, max: 0xffffffffn }).map((bits) => ipFromBits(bits, 4));
const ipv6 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((bits) => ipFromBits(bits, 6));
const address = fc.oneof(ipv4, ipv6);
const prefix = fc
  .tuple(address, fc.nat(128))
  .map(([ip, length]) => prefixOf(ip, ip.includes(":") ? length : length % 33));

test("parseIpAddr() of its own output is the same text", () => {
  fc.assert(fc.property(address, (ip) => parseIpAddr(ip) === ip));
});

test("addresses survive bits and bytes", () => {
  fc.assert(
    fc.property(address, (ip) => {
      const family = ip.includes(":") ? 6 : 4;
      return ipFromBits(ipBits(ip), family) === ip && ipFromBytes(ipBytes(ip)) === ip;
    }),
  );
});

test("IPv6 addresses are written as Node and the C library write them", () => {
  const group = fc.oneof(fc.constant(0), fc.constantFrom(1, 0xffff), fc.nat(0xffff));
  const groups = fc.array(group, { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(groups, (words) => {
      const long = words.map((word) => word.toString(16)).join(":");
      const short = new SocketAddress({ address: long, family: "ipv6" }).address;
      assert.equal(parseIpAddr(long), short);
      assert.equal(parseIpAddr(short), short);
      assert.equal(ipFromBits(ipBits(parseIpAddr(short)), 6), short);
    }),
    { numRuns: 1000 },
  );
});

test("parseIpAddr() gives the canonical form", () => {
  assert.equal(parseIpAddr("FD00:0:0::0001"), "fd00::1");
  assert.equal(parseIpAddr("::"), "::");
  assert.equal(ipBits(parseIpAddr("::ffff:10.0.0.1")), 0xffff0a000001n);
});

for (const bad of [
  "",
  "1.2.3",
  "1.2.3.4.5",
  "256.1.1.1",
  "01.2.3.4",
  "fe80::1%eth0",
  ":::",
  "g::",
]) {
  test(`parseIpAddr() refuses "${bad}"`, () => {
    assert.throws(() => parseIpAddr(bad), SyntaxError);
  });
}

test("parsePrefix() says what a prefix with host bits should be", () => {
  assert.throws(() => parsePrefix("10.0.0.65/26"), /did you mean 10.0.0.64\/26/);
  assert.throws(() => parsePrefix("10.0.0.0/33"), /0 to 32/);
  assert.throws(() => parsePrefix("10.0.0.0/"), SyntaxError);
  assert.throws(() => parsePrefix("10.0.0.0/8/8"), SyntaxError);
  assert.equal(parsePrefix("fd00:10:244:0::40/122"), "fd00:10:244::40/122");
});

test("parseInterfaceAddress() keeps host bits", () => {
  assert.deepEqual(parseInterfaceAddress("192.168.1.11/24"), {
    address: "192.168.1.11",
    length: 24,
  });
});

test("a prefix holds its first and last address and no other", () => {
  fc.assert(
    fc.property(prefix, (p) => {
      const last = nthAddress(p, prefixSize(p) - 1n);
      return prefixHasAddress(p, nthAddress(p, 0)) && prefixHasAddress(p, last);
    }),
  );
  const p = parsePrefix("10.0.0.64/26");
  assert.equal(prefixHasAddress(p, parseIpAddr("10.0.0.128")), false);
  assert.equal(prefixHasAddress(p, parseIpAddr("::a00:40")), false);
});

test("overlap is containment one way or the other", () => {
  fc.assert(
    fc.property(prefix, prefix, (a, b) => {
      assert.equal(prefixesOverlap(a, b), prefixContains(a, b) || prefixContains(b, a));
      assert.equal(Math.sign(comparePrefixes(a, b)) + Math.sign(comparePrefixes(b, a)), 0);
    }),
  );
});
