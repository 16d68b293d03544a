import assert from "node:assert/strict";
import { test } from "node:test";
import { felixConfig } from "../../../../src/felix/config/felix-config.ts";
import type { MessageWriter, NetlinkMessage } from "../../../../src/kernel/netlink/message.ts";
import { NetlinkSocket } from "../../../../src/kernel/netlink/socket.ts";

const NETLINK_ROUTE = 0;
const RTM_GETLINK = 18;
/** The kernel passes over control messages without a word. */
const unanswered = { type: 1, flags: 0, fill: () => undefined };

const links = {
  type: RTM_GETLINK,
  flags: 0,
  fill: (writer: MessageWriter) => void writer.header(Buffer.alloc(16)),
};

/** Link 1, by struct ifinfomsg. */
const loopback = {
  ...links,
  fill: (writer: MessageWriter) => {
    const header = Buffer.alloc(16);
    header.writeInt32LE(1, 4);
    writer.header(header);
  },
};

test("netlinkTimeout is how long the kernel may take, and the socket can be used afterwards", async (t) => {
  const limit = (given: string) =>
    felixConfig({ global: { netlinkTimeout: given }, env: {} }).netlinkTimeoutMs;
  let timeoutMs = limit("20ms");
  const socket = new NetlinkSocket(NETLINK_ROUTE, { timeoutMs: () => timeoutMs });
  t.after(() => socket.close());
  const ask = () => socket.query(unanswered, "Cannot ask", () => undefined);
  await assert.rejects(ask(), /no answer in 20 ms/);
  timeoutMs = limit("10ms");
  await assert.rejects(ask(), /no answer in 10 ms/);
  timeoutMs = limit("10s");
  const found = await socket.dump(links, "Cannot list links", () => "link");
  assert.ok(found.length > 0);
});

for (const hasSecrets of [true, false]) {
  test(`what was received is ${hasSecrets ? "wiped" : "left"} by a socket ${hasSecrets ? "with" : "without"} secrets`, async (t) => {
    const socket = new NetlinkSocket(NETLINK_ROUTE, { hasSecrets });
    t.after(() => socket.close());
    let received: Uint8Array = new Uint8Array();
    const stop = ({ body }: NetlinkMessage) => {
      received = new Uint8Array(body.buffer);
      throw new Error("stopped");
    };
    await assert.rejects(socket.dump(links, "Cannot list links", stop), /stopped/);
    assert.equal(isWiped(received), hasSecrets);
    // What is left of that list comes late, and is nobody's.
    assert.equal(await socket.query(loopback, "Cannot read lo", () => "lo"), "lo");
    assert.equal(isWiped(received), hasSecrets);
  });
}

test("what was sent is wiped, and so is what was to be sent when the socket was closed", async (t) => {
  const socket = new NetlinkSocket(NETLINK_ROUTE);
  t.after(() => socket.close());
  const buffers = new Set<Uint8Array>();
  const fill = (writer: MessageWriter) => {
    writer.header(Buffer.alloc(16));
    buffers.add(new Uint8Array(writer.bytes().buffer));
  };
  await socket.dump({ ...links, fill }, "Cannot list links", () => undefined);
  const more = Array.from({ length: 300 }, (_, index) => ({
    ...unanswered,
    fill: (writer: MessageWriter) => {
      fill(writer);
      if (index === 200) socket.close();
    },
  }));
  await assert.rejects(socket.batch(more), /closed netlink socket/);
  assert.ok(buffers.size > 2);
  assert.ok([...buffers].every(isWiped));
});

function isWiped(bytes: Uint8Array): boolean {
  return bytes.every((octet) => octet === 0);
}
