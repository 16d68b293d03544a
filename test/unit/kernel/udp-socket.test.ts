import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { suite, type TestContext, test } from "node:test";
import { openUdpSocket } from "../../../src/kernel/udp-socket.ts";
import { type IpAddr, ipFamily } from "../../../src/lib/ip-addr.ts";

function open(t: TestContext, address: IpAddr, options: { ttl: number; minTtl?: number }): Socket {
  const socket = createSocket(ipFamily(address) === 4 ? "udp4" : "udp6");
  socket.bind({ fd: openUdpSocket({ address, port: 0, ...options }) });
  t.after(() => socket.close());
  return socket;
}

for (const address of ["127.0.0.1", "::1"] as IpAddr[]) {
  suite(`UDP sockets at ${address}`, () => {
    test("what arrives with a TTL under the least is dropped", async (t) => {
      const receiver = open(t, address, { ttl: 64, minTtl: 255 });
      const { port } = receiver.address();
      const got = new Promise((resolve) =>
        receiver.once("message", (bytes) => resolve(`${bytes}`)),
      );
      for (const ttl of [1, 64, 254, 255]) {
        const sender = open(t, address, { ttl });
        await new Promise((resolve) => sender.send(`TTL ${ttl}`, port, address, resolve));
      }
      assert.equal(await got, "TTL 255");
    });

    test("without a least TTL everything is received", async (t) => {
      const receiver = open(t, address, { ttl: 64 });
      const got = new Promise((resolve) =>
        receiver.once("message", (bytes) => resolve(`${bytes}`)),
      );
      const sender = open(t, address, { ttl: 1 });
      sender.send("near", receiver.address().port, address);
      assert.equal(await got, "near");
    });
  });
}

test("an address or port that cannot be had is an error that names it", (t) => {
  const address = "127.0.0.1" as IpAddr;
  const { port } = open(t, address, { ttl: 1 }).address();
  assert.throws(
    () => openUdpSocket({ address, port, ttl: 1 }),
    new RegExp(`bind UDP port ${port} of 127.0.0.1`),
  );
  const foreign = { address: "192.0.2.1" as IpAddr, port: 0, ttl: 1 };
  assert.throws(() => openUdpSocket(foreign), /bind UDP port 0 of 192\.0\.2\.1/);
});
