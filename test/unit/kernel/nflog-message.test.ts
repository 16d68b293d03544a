import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MessageWriter } from "../../../src/kernel/netlink/message.ts";
import { nflogMessage, nflogPackets } from "../../../src/kernel/nflog-message.ts";

/** A datagram as the kernel sends it: a packet of group 2 with this payload. */
function told(payload: string, prefix = "DPI0|np/a/b"): Buffer {
  const writer = new MessageWriter();
  writer.begin(nflogMessage.packet, 0, 0).header(Buffer.from("02000002", "hex"));
  writer.attribute(1, Buffer.from("08000300", "hex"));
  writer
    .text(10, prefix)
    .attribute(9, Buffer.from(payload.replaceAll(" ", ""), "hex"))
    .end();
  return Buffer.from(writer.bytes());
}

const ipv4 = "4500001c 00000000 4011 0000 0a000001 0a000002";
const ipv6 = (next: string) =>
  `60000000 0010 ${next} 40 fd000000000000000000000000000001 fd000000000000000000000000000002`;
const ends6 = { source: "fd00::1", destination: "fd00::2" };
const of = { group: 2, prefix: "DPI0|np/a/b" };

describe("nflogPackets()", () => {
  test("reads addresses, ports and prefix", () => {
    assert.deepEqual(nflogPackets(told(`${ipv4} d431 0035 0008 0000`)), [
      {
        ...of,
        source: "10.0.0.1",
        destination: "10.0.0.2",
        protocol: 17,
        sourcePort: 0xd431,
        destinationPort: 53,
      },
    ]);
  });

  test("reads several messages of one datagram", () => {
    const one = told(`${ipv4} 0001 0002`);
    assert.equal(nflogPackets(Buffer.concat([one, one, one])).length, 3);
  });

  test("a later fragment has no ports, and options come before them", () => {
    const fragment = "4500001c 00000001 4011 0000 0a000001 0a000002 d431 0035";
    assert.equal(nflogPackets(told(fragment))[0]?.destinationPort, undefined);
    const options = "46000020 00000000 4006 0000 0a000001 0a000002 94040000 0001 0050";
    assert.equal(nflogPackets(told(options))[0]?.destinationPort, 80);
  });

  test("goes behind IPv6's extension headers", () => {
    const hopByHop = `${ipv6("00")} 3a00 000000000000 8000`;
    assert.deepEqual(nflogPackets(told(hopByHop)), [
      { ...of, ...ends6, protocol: 58, icmp: { type: 128, code: 0 } },
    ]);
    const firstFragment = `${ipv6("2c")} 1100 0001 00000000 0001 0035`;
    assert.equal(nflogPackets(told(firstFragment))[0]?.destinationPort, 53);
    const laterFragment = `${ipv6("2c")} 1100 0008 00000000 0001 0035`;
    const [later] = nflogPackets(told(laterFragment));
    assert.deepEqual([later?.protocol, later?.destinationPort], [17, undefined]);
  });

  test("never throws", () => {
    const bytes = fc.uint8Array({ maxLength: 120 });
    fc.assert(
      fc.property(bytes, fc.constantFrom("45", "46", "4f", "60"), (rest, first) => {
        const payload = first + Buffer.from(rest).toString("hex");
        assert.ok(nflogPackets(told(payload)).length <= 1);
        nflogPackets(Buffer.from(rest));
      }),
    );
  });
});
