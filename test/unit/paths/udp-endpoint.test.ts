import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { remoteAddress, UdpEndpoint } from "../../../src/paths/udp-endpoint.ts";

test("remoteAddress() takes whatever a stranger can come from", () => {
  const rows = [
    ["192.0.2.1", "192.0.2.1"],
    ["2001:db8::1", "2001:db8::1"],
    ["fe80::1%eth0", "fe80::1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
  ] as const;
  for (const [text, address] of rows) assert.equal(remoteAddress(text), address);
});

test("an answer that is ready when its socket is closed is dropped", async () => {
  const loopback = parseIpAddr("127.0.0.1");
  const endpoint = new UdpEndpoint({ address: loopback, port: 0 }, { datagram: () => undefined });
  endpoint.close();
  const to = { address: loopback, port: 9 };
  assert.equal(await endpoint.send(Buffer.alloc(1), to), "EBADF");
  endpoint.close();
});
