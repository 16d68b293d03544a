import assert from "node:assert/strict";
import { test } from "node:test";
import { writeAddressFilter } from "../../../../src/kernel/ip/address-message.ts";
import type { AddressFilter } from "../../../../src/kernel/kernel.ts";
import { netlinkBody } from "../../../support/netlink-body.ts";

test("the kernel is asked for the addresses of an interface and a family alone", () => {
  const asked = (filter: AddressFilter) =>
    netlinkBody((writer) => writeAddressFilter(writer, filter)).toString("hex");
  assert.equal(asked({}), "0000000000000000");
  assert.equal(asked({ ifindex: 258 }), "0000000002010000");
  assert.equal(asked({ ifindex: 7, family: 4 }), "0200000007000000");
  assert.equal(asked({ family: 6 }), "0a00000000000000");
});
