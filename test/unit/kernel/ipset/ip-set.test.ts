import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { kernelMembers } from "../../../../src/kernel/ipset/ip-set.ts";
import { readListedSet, writeMembers } from "../../../../src/kernel/ipset/ipset-message.ts";
import { MessageWriter } from "../../../../src/kernel/netlink/message.ts";
import { type IpFamily, ipFromBytes } from "../../../../src/lib/ip-addr.ts";
import { prefixOf } from "../../../../src/lib/prefix.ts";

describe("kernelMembers()", () => {
  const rows: readonly (readonly [string, IpFamily, readonly string[]])[] = [
    ["10.0.0.0/26", 4, ["10.0.0.0/26"]],
    ["10.0.0.1", 4, ["10.0.0.1/32"]],
    ["fd00::1", 6, ["fd00::1/128"]],
    ["0.0.0.0/0", 4, ["0.0.0.0/1", "128.0.0.0/1"]],
    ["::/0", 6, ["::/1", "8000::/1"]],
    ["10.0.0.0/10", 4, ["10.0.0.0/10"]],
    ["10.0.0.1,tcp:80", 4, ["10.0.0.1,tcp:80"]],
    ["fd00::1,udp:53", 6, ["fd00::1,udp:53"]],
    ["fd00::1,udp:53", 4, []],
    ["10.0.0.1,tcp:80", 6, []],
    ["fd00::/64", 4, []],
  ];
  for (const [member, family, expected] of rows) {
    test(`${member} in an IPv${family} set`, () => {
      assert.deepEqual([...kernelMembers([member], family)], expected);
    });
  }
});

describe("members as messages", () => {
  const octets = (family: IpFamily) => {
    const length = family === 4 ? 4 : 16;
    return fc.uint8Array({ minLength: length, maxLength: length }).map(ipFromBytes);
  };

  for (const family of [4, 6] as const) {
    const prefixes = fc
      .tuple(octets(family), fc.integer({ min: 1, max: family === 4 ? 32 : 128 }))
      .map(([address, length]): string => prefixOf(address, length));
    const ports = fc
      .tuple(octets(family), fc.constantFrom("tcp", "udp", "sctp"), fc.nat({ max: 65535 }))
      .map(([address, protocol, port]) => `${address},${protocol}:${port}`);

    test(`IPv${family} members are read as they were written`, () => {
      fc.assert(
        fc.property(fc.array(fc.oneof(prefixes, ports), { maxLength: 50 }), (members) => {
          const writer = new MessageWriter();
          writeMembers(writer, { name: "cali40s:x", family, members });
          const listed = readListedSet(Buffer.from(writer.bytes()));
          assert.equal(listed?.name, "cali40s:x");
          assert.deepEqual(listed.members, members);
        }),
      );
    });
  }

  test("1,000 of the longest members fit the 64 KiB of one attribute", () => {
    const member = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff,sctp:65535";
    const writer = new MessageWriter();
    const members = Array.from({ length: 1000 }, () => member);
    writeMembers(writer, { name: "x".repeat(31), family: 6, members });
    assert.ok(writer.length < 65_536, `${writer.length} octets`);
  });
});
