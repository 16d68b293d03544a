import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { defaultPools } from "../../../src/node/default-pools.ts";

const bare = {
  existing: [],
  hostAddresses: [parseIpAddr("10.1.2.3")],
  ipv6: false,
  globalId: Uint8Array.of(0, 1, 2, 3, 4),
};

test("defaultPools() gives Calico's defaults", () => {
  assert.deepEqual(
    defaultPools({}, bare).map(({ metadata, spec }) => [metadata.name, spec]),
    [
      [
        "default-ipv4-ippool",
        {
          cidr: "192.168.0.0/16",
          blockSize: 26,
          ipipMode: "Never",
          vxlanMode: "Never",
          natOutgoing: true,
          nodeSelector: "all()",
          disableBGPExport: false,
          allowedUses: ["Workload", "Tunnel"],
        },
      ],
    ],
  );
});

test("defaultPools() reads every variable", () => {
  const env = {
    CALICO_IPV4POOL_CIDR: "10.65.0.0/20",
    CALICO_IPV4POOL_BLOCK_SIZE: "28",
    CALICO_IPV4POOL_VXLAN: "cross-subnet",
    CALICO_IPV4POOL_NAT_OUTGOING: "false",
    CALICO_IPV4POOL_NODE_SELECTOR: "zone == 'a'",
    CALICO_IPV4POOL_DISABLE_BGP_EXPORT: "true",
    CALICO_IPV6POOL_CIDR: "fd00:1::/48",
    CALICO_IPV6POOL_VXLAN: "Always",
  };
  const [v4, v6] = defaultPools(env, { ...bare, ipv6: true });
  assert.deepEqual(v4?.spec, {
    cidr: "10.65.0.0/20",
    blockSize: 28,
    ipipMode: "Never",
    vxlanMode: "CrossSubnet",
    natOutgoing: false,
    nodeSelector: "zone == 'a'",
    disableBGPExport: true,
    allowedUses: ["Workload", "Tunnel"],
  });
  assert.deepEqual(
    [
      v6?.metadata.name,
      v6?.spec.cidr,
      v6?.spec.blockSize,
      v6?.spec.vxlanMode,
      v6?.spec.natOutgoing,
    ],
    ["default-ipv6-ippool", "fd00:1::/48", 122, "Always", false],
  );
});

test("defaultPools() makes a pool only for a family that has none", () => {
  const existing = ["10.0.0.0/8"];
  const pools = defaultPools({}, { ...bare, existing, ipv6: true });
  assert.deepEqual(
    pools.map(({ spec }) => spec.cidr),
    ["fd00:102:304::/48"],
  );
  assert.deepEqual(defaultPools({ NO_DEFAULT_POOLS: "true" }, bare), []);
  assert.deepEqual(defaultPools({ CALICO_IPV4POOL_CIDR: "none" }, bare), []);
});

test("defaultPools() moves off a range that holds a host address", () => {
  const hostAddresses = ["192.168.7.1", "172.16.0.4"].map(parseIpAddr);
  assert.equal(defaultPools({}, { ...bare, hostAddresses })[0]?.spec.cidr, "172.17.0.0/16");
});

const refused: readonly [variable: string, value: string, message: RegExp][] = [
  ["CIDR", "10.0.0.1/16", /did you mean 10\.0\.0\.0\/16/],
  ["CIDR", "fd00::/48", /must be IPv4/],
  ["BLOCK_SIZE", "33", /must be 20 to 32/],
  ["BLOCK_SIZE", "x", /must be 20 to 32/],
  ["VXLAN", "Sometimes", /must be Never, Always or CrossSubnet/],
  ["NAT_OUTGOING", "maybe", /must be true or false/],
  ["NODE_SELECTOR", "zone ==", /zone ==/],
];
for (const [variable, value, message] of refused) {
  test(`defaultPools() refuses CALICO_IPV4POOL_${variable}="${value}"`, () => {
    const name = `CALICO_IPV4POOL_${variable}`;
    assert.throws(
      () => defaultPools({ [name]: value }, bare),
      (error: Error) => message.test(error.message) && error.message.includes(name),
    );
  });
}

test("TORTIE_IPV6POOL_UDP annotates the pool of IPv6", () => {
  const [v4, v6] = defaultPools({ TORTIE_IPV6POOL_UDP: "Always" }, { ...bare, ipv6: true });
  assert.equal(v4?.metadata.annotations, undefined);
  assert.deepEqual(v6?.metadata.annotations, { "tortie.dev/encapsulation": "UDP" });
});

test("TORTIE_IPV4POOL_UDP annotates the pool of IPv4, and goes with no other encapsulation", () => {
  const [v4, v6] = defaultPools({ TORTIE_IPV4POOL_UDP: "CrossSubnet" }, bare);
  assert.deepEqual(v4?.metadata.annotations, { "tortie.dev/encapsulation": "UDPCrossSubnet" });
  assert.equal(v6?.metadata.annotations, undefined);
  assert.throws(
    () => defaultPools({ TORTIE_IPV4POOL_UDP: "Always", CALICO_IPV4POOL_VXLAN: "Always" }, bare),
    /TORTIE_IPV4POOL_UDP "Always": .* must be Never/,
  );
});

test("defaultPools() refuses IPIP with VXLAN, and a pool smaller than its block", () => {
  assert.throws(
    () => defaultPools({ CALICO_IPV4POOL_IPIP: "Always", CALICO_IPV4POOL_VXLAN: "Always" }, bare),
    /one must be Never/,
  );
  assert.throws(() => defaultPools({ CALICO_IPV4POOL_CIDR: "10.0.0.0/28" }, bare), /smaller/);
});
