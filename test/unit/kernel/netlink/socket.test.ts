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

test("netlinkTimeout is how long the kernel may take, and the socket can be used afterwards", async (t) => {
  const limit = (given: string) =>
    felixConfig({ global: { netlinkTimeout: given }, env: {} }).netlinkTimeoutMs;
  let timeoutMs = limit("20ms");
  const socket = new NetlinkSocket(NETLINK_ROUTE, () => timeoutMs);
  t.after(() => socket.close());
  const ask = () => socket.query(unanswered, "Cannot ask", () => undefined);
  await assert.rejects(ask(), /no answer in 20 ms/);
  timeoutMs = limit("10ms");
  await assert.rejects(ask(), /no answer in 10 ms/);
  timeoutMs = limit("10s");
  const found = await socket.dump(links, "Cannot list links", () => "link");
  assert.ok(found.length > 0);
});

test("what was sent is wiped, and so is what was received, where there are secrets", async (t) => {
  const socket = new NetlinkSocket(NETLINK_ROUTE, () => 10_000);
  t.after(() => socket.close());
  const isWiped = (bytes: Buffer) => bytes.every((octet) => octet === 0);
  for (const hasSecrets of [true, false]) {
    let sent: Buffer = Buffer.alloc(0);
    const request = {
      ...links,
      hasSecrets,
      fill: (writer: MessageWriter) => {
        writer.header(Buffer.alloc(16));
        sent = writer.bytes();
      },
    };
    // The end of the list comes into the same buffer, and is short.
    const rest = ({ body }: NetlinkMessage) => body.subarray(64);
    const bodies = await socket.dump(request, "Cannot list links", rest);
    assert.ok(bodies.length > 0);
    assert.equal(bodies.every(isWiped), hasSecrets);
    assert.ok(isWiped(sent));
  }
});
