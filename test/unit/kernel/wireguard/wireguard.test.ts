import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetlinkSocket } from "../../../../src/kernel/netlink/socket.ts";
import { wireguardDevices } from "../../../../src/kernel/wireguard/wireguard.ts";

test("devices are read by a socket that has secrets: the kernel tells the private key too", async () => {
  const opened: unknown[] = [];
  const open = (options: unknown) => {
    opened.push(options);
    return { query: async () => 30, dump: async () => [] } as unknown as NetlinkSocket;
  };
  assert.equal(await wireguardDevices(open).get(7), undefined);
  assert.deepEqual(opened, [{ hasSecrets: true }]);
});
