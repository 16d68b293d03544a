import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetlinkSocket, Request } from "../../../../src/kernel/netlink/socket.ts";
import { wireguardDevices } from "../../../../src/kernel/wireguard/wireguard.ts";

test("a device is read as what has secrets: the kernel tells its private key too", async () => {
  const asked: Request[] = [];
  const socket = {
    query: async () => 30,
    dump: async (request: Request) => {
      asked.push(request);
      return [];
    },
  } as unknown as NetlinkSocket;
  assert.equal(await wireguardDevices(() => socket).get(7), undefined);
  assert.deepEqual(
    asked.map(({ type, hasSecrets }) => [type, hasSecrets]),
    [[30, true]],
  );
});
