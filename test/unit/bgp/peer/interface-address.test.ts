import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addressBeside,
  type InterfaceAddresses,
} from "../../../../src/bgp/peer/interface-address.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";

const beside = (address: string, interfaces: Readonly<Record<string, readonly string[]>>) => {
  const infos = Object.entries(interfaces).map(
    ([name, addresses]) => [name, addresses.map((each) => ({ address: each }))] as const,
  );
  return addressBeside(parseIpAddr(address), Object.fromEntries(infos) as InterfaceAddresses);
};

const interfaces = {
  lo: ["127.0.0.1", "10.0.0.9", "::1"],
  eth0: ["10.99.0.1", "fe80::1", "fd99::1", "fd99::9"],
  eth1: ["10.98.0.1", "fd98::1"],
};

test("the address beside another is of the other family and on the same interface", () => {
  assert.equal(beside("10.99.0.1", interfaces), "fd99::1");
  assert.equal(beside("fd99::9", interfaces), "10.99.0.1");
  assert.equal(beside("fd98::1", interfaces), "10.98.0.1");
});

test("there is none where the interface has only what others cannot use", () => {
  assert.equal(beside("10.0.0.9", interfaces), undefined);
  assert.equal(beside("10.97.0.1", interfaces), undefined);
  assert.equal(beside("10.1.1.1", { eth0: ["10.1.1.1", "fe80::1"] }), undefined);
});
