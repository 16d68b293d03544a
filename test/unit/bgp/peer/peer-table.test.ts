import assert from "node:assert/strict";
import { test } from "node:test";
import type { PeerShell } from "../../../../src/bgp/peer/peer-shell.ts";
import { PeerTable } from "../../../../src/bgp/peer/peer-table.ts";
import type { Connection } from "../../../../src/bgp/peer/transport.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";

test("What comes from an address is not for a peer there that only connects", () => {
  const address = parseIpAddr("192.168.1.11");
  const shellOf = (name: string, more: object = {}) =>
    ({ config: { name, address, ...more } }) as unknown as PeerShell;
  const comes = { remoteAddress: address } as Connection;
  const table = new PeerTable();
  const reflector = shellOf("reflector", { connectOnly: true });
  table.add(reflector);
  assert.equal(table.peerOf(comes), undefined);
  const node = shellOf("node");
  table.add(node);
  assert.equal(table.peerOf(comes), node);
});
