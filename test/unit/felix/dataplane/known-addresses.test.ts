import assert from "node:assert/strict";
import { test } from "node:test";
import { KnownAddresses } from "../../../../src/felix/dataplane/known-addresses.ts";
import type { KernelAddress } from "../../../../src/kernel/kernel.ts";

test("a list that was under way when addresses changed is given, and not kept", async () => {
  const lists: readonly KernelAddress[][] = [[], [], []];
  let count = 0;
  let meanwhile = () => known.forget();
  const known = new KnownAddresses({
    list: async () => {
      meanwhile();
      meanwhile = () => undefined;
      return lists[count++] ?? [];
    },
  });
  assert.equal(await known.list(), lists[0]);
  assert.equal(known.areKnown, false);
  assert.equal(await known.list(), lists[1]);
  assert.equal(await known.list(), lists[1]);
  known.forget();
  assert.equal(await known.list(), lists[2]);
});
