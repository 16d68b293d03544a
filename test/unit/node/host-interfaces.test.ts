import assert from "node:assert/strict";
import { test } from "node:test";
import { readAddress, writeAddress } from "../../../src/kernel/ip/address-message.ts";
import { MessageWriter } from "../../../src/kernel/netlink/message.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { hostInterfaces } from "../../../src/node/host-interfaces.ts";

/** As the kernel tells of an address with IFA_F_TEMPORARY, which is IFA_F_SECONDARY in IPv4. */
function told(text: string, length: number, flags: number) {
  const writer = new MessageWriter();
  writeAddress(writer, { ifindex: 2, address: parseIpAddr(text), length });
  const body = Buffer.from(writer.bytes());
  body[2] = flags;
  return readAddress(body) ?? assert.fail("no address");
}

test("a temporary address is none that a node is known by", async () => {
  const addresses = [
    told("2001:db8::5c1f", 64, 1),
    told("2001:db8::11", 64, 0x80),
    told("192.168.1.12", 24, 1),
  ];
  const link = { name: "eth0", ifindex: 2, up: true, running: true, mtu: 1500 };
  const kernel = {
    links: { list: async () => [link] },
    addresses: { list: async () => addresses },
  };
  const [eth0] = await hostInterfaces(kernel as never);
  assert.deepEqual(eth0?.addresses, [
    { address: "2001:db8::11", length: 64 },
    { address: "192.168.1.12", length: 24 },
  ]);
});
