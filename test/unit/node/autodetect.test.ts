import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError } from "../../../src/lib/errors.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { parseInterfaceAddress } from "../../../src/lib/prefix.ts";
import {
  detectAddress,
  type HostFacts,
  parseDetectionMethod,
  renderCandidates,
} from "../../../src/node/autodetect.ts";
import { addressText, type HostInterface } from "../../../src/node/host-interfaces.ts";

function link(ifindex: number, name: string, addresses: string[], up = true): HostInterface {
  return { ifindex, name, up, mtu: 1500, addresses: addresses.map(parseInterfaceAddress) };
}

const interfaces = [
  link(1, "lo", ["127.0.0.1/8", "::1/128"]),
  link(2, "eth0", ["192.168.1.11/24", "fe80::1/64", "2001:db8::11/64"]),
  link(3, "eth1", ["10.7.0.5/32", "10.8.0.5/16"]),
  link(4, "eth2", ["172.20.0.9/24"], false),
  link(5, "docker0", ["172.17.0.1/16"]),
  link(6, "cali123", ["fe80::ecee:eeff:feee:eeee/64"]),
];
const facts: HostFacts = { interfaces };

function detect(method: string, family: 4 | 6 = 4, more: Partial<HostFacts> = {}) {
  const parsed = parseDetectionMethod(method, "IP_AUTODETECTION_METHOD");
  const { chosen } = detectAddress(parsed, family, { ...facts, ...more });
  return chosen === undefined ? undefined : addressText(chosen);
}

const rows: readonly [method: string, family: 4 | 6, chosen: string | undefined][] = [
  ["", 4, "10.8.0.5/16"],
  ["first-found", 6, "2001:db8::11/64"],
  ["interface=eth0", 4, "192.168.1.11/24"],
  ["interface=nothing,eth0,eth1", 4, "192.168.1.11/24"],
  ["interface=eth.*", 4, "10.8.0.5/16"],
  ["interface=docker.*", 4, "172.17.0.1/16"],
  ["interface=eth2", 4, undefined],
  ["skip-interface=eth1", 4, "192.168.1.11/24"],
  ["skip-interface=eth.*", 4, undefined],
  ["cidr=192.168.0.0/16", 4, "192.168.1.11/24"],
  ["cidr=10.7.0.0/16,2001:db8::/32", 4, "10.7.0.5/32"],
  ["cidr=10.7.0.0/16,2001:db8::/32", 6, "2001:db8::11/64"],
];
for (const [method, family, chosen] of rows) {
  test(`detectAddress() by "${method}", IPv${family}, gives ${chosen}`, () => {
    assert.equal(detect(method, family), chosen);
  });
}

test("can-reach gives the source address with its interface's length", () => {
  const source = parseIpAddr("192.168.1.11");
  assert.equal(detect("can-reach=8.8.8.8", 4, { source }), "192.168.1.11/24");
  assert.equal(detect("can-reach=8.8.8.8"), undefined);
});

test("kubernetes-internal-ip gives the address of its family, /32 when no interface has it", () => {
  const internalIps = ["2001:db8::11", "203.0.113.9"].map(parseIpAddr);
  assert.equal(detect("kubernetes-internal-ip", 4, { internalIps }), "203.0.113.9/32");
  assert.equal(detect("kubernetes-internal-ip", 6, { internalIps }), "2001:db8::11/64");
});

test("the candidates say of each address why it was taken or not", () => {
  const { candidates } = detectAddress({ kind: "first-found" }, 4, facts);
  assert.equal(
    renderCandidates(candidates),
    [
      "   docker0  172.17.0.1/16    interface name is excluded (^docker.*)",
      "   eth2     172.20.0.9/24    interface is down",
      "*  eth1     10.8.0.5/16      first by first-found",
      "   eth1     10.7.0.5/32      another was first",
      "   eth0     192.168.1.11/24  another was first",
      "   lo       127.0.0.1/8      not a global unicast address",
    ].join("\n"),
  );
});

for (const method of [
  "firstfound",
  "interface",
  "interface=",
  "interface=(",
  "cidr=10.0.0.1/8",
  "can-reach=",
]) {
  test(`parseDetectionMethod() refuses "${method}" and names the variable`, () => {
    assert.throws(
      () => parseDetectionMethod(method, "IP_AUTODETECTION_METHOD"),
      (error: unknown) =>
        error instanceof InputError && error.message.includes("IP_AUTODETECTION_METHOD"),
    );
  });
}
