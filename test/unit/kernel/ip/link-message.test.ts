import assert from "node:assert/strict";
import { test } from "node:test";
import { readLink, writeIp6Tunnel, writeSit } from "../../../../src/kernel/ip/link-message.ts";
import { MessageWriter } from "../../../../src/kernel/netlink/message.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";

function written(fill: (writer: MessageWriter) => void) {
  const writer = new MessageWriter();
  fill(writer);
  return Buffer.from(writer.bytes());
}

test("a sit device is read as it was written", () => {
  const local = parseIpAddr("192.168.1.11");
  const body = written((writer) => writeSit(writer, "sit.tortie", { local, mtu: 1480 }));
  assert.deepEqual(readLink(body), {
    ifindex: 0,
    name: "sit.tortie",
    type: "sit",
    up: false,
    running: false,
    mtu: 1480,
    sitLocal: "192.168.1.11",
  });
});

test("an ip6tnl device is external, takes IPv6 alone and adds no option to its packets", () => {
  const body = written((writer) => writeIp6Tunnel(writer, "ip6ip6.tortie", 1460));
  assert.equal(readLink(body)?.type, "ip6tnl");
  const hex = body.toString("hex");
  // IFLA_IPTUN_COLLECT_METADATA; _FLAGS: IP6_TNL_F_IGN_ENCAP_LIMIT; _PROTO: 41.
  assert.match(hex, /04001300080008000100000005000900290000{2}/);
});
