import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { listenKeys } from "../../../../src/bgp/peer/listen-keys.ts";
import type { DynamicPeers, PeerConfig } from "../../../../src/bgp/peer/peer.ts";
import type { Prefix } from "../../../../src/lib/prefix.ts";
import { Secret } from "../../../../src/lib/secret.ts";

function peer(name: string, address: string, password?: string): PeerConfig {
  const secret = password === undefined ? {} : { password: new Secret(password) };
  return { name, address, ...secret } as unknown as PeerConfig;
}

suite("listenKeys", () => {
  test("gives a key to each address and to each prefix of dynamic neighbours", () => {
    const template = { password: new Secret("c") } as unknown as DynamicPeers["template"];
    const { keys, refused } = listenKeys(
      [peer("a", "10.0.0.1", "a"), peer("b", "fd00::2", "b"), peer("none", "10.0.0.3")],
      [{ prefix: "10.1.0.0/16" as Prefix, template, limit: 1 }],
    );
    assert.deepEqual(
      [...keys].map(([prefix, secret]) => [prefix, secret.reveal()]),
      [
        ["10.1.0.0/16", "c"],
        ["10.0.0.1/32", "a"],
        ["fd00::2/128", "b"],
      ],
    );
    assert.equal(refused.size, 0);
  });

  test("refuses a second peer of one address with another password, or with none", () => {
    const first = peer("a", "10.0.0.1", "a");
    for (const second of ["b", undefined]) {
      const { keys, refused } = listenKeys([first, peer("b", "10.0.0.1", second)], []);
      assert.deepEqual([...refused], [["b", "a has the same address and another password"]]);
      assert.equal(keys.size, 1);
    }
    assert.equal(listenKeys([first, peer("b", "10.0.0.1", "a")], []).refused.size, 0);
  });
});
