import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LocalEndpoint } from "../../../../src/felix/calc/updates.ts";
import {
  cidrBlockChain,
  floatingIpChains,
  natOutgoingChain,
  staticNatChains,
} from "../../../../src/felix/rules/nat-chains.ts";
import { defaultRulesConfig, type RulesConfig } from "../../../../src/felix/rules/rules-config.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import type { Prefix } from "../../../../src/lib/prefix.ts";
import { show, showChain } from "./show-chains.ts";

const outgoing = (config: Partial<RulesConfig>, family: 4 | 6 = 4): string[] =>
  show(natOutgoingChain(true, { ...defaultRulesConfig, ...config }, family).rules);
const pools =
  "-m set --match-set cali40masq-ipam-pools src -m set ! --match-set cali40network-ip-pools dst";

describe("natOutgoingChain()", () => {
  test("masquerades what leaves the pools", () => {
    assert.deepEqual(outgoing({}), [`${pools} --jump MASQUERADE --random-fully`]);
    assert.match(
      outgoing({}, 6)[0] ?? "",
      /cali60masq-ipam-pools src .* cali60network-ip-pools dst/,
    );
  });

  test("is empty when no pool asks for it", () => {
    assert.deepEqual(natOutgoingChain(false, defaultRulesConfig, 4).rules, []);
  });

  test("spares hosts, and keeps to an interface", () => {
    assert.deepEqual(
      outgoing({ natOutgoingExclusions: "IPPoolsAndHostIPs", natOutgoingInterface: "eth+" }),
      [
        `${pools} -m set ! --match-set cali40all-hosts-net dst --out-interface eth+ --jump MASQUERADE --random-fully`,
      ],
    );
  });

  test("a port range is for tcp and udp", () => {
    assert.deepEqual(outgoing({ natPortRange: { first: 30000, last: 31000 } }), [
      `${pools} -p tcp --jump MASQUERADE --to-ports 30000-31000 --random-fully`,
      `${pools} -p tcp --jump RETURN`,
      `${pools} -p udp --jump MASQUERADE --to-ports 30000-31000 --random-fully`,
      `${pools} -p udp --jump RETURN`,
      `${pools} --jump MASQUERADE --random-fully`,
    ]);
  });

  test("an address of its own is for IPv4", () => {
    const natOutgoingAddress = "192.0.2.1" as IpAddr;
    const rules = outgoing({ natOutgoingAddress, natPortRange: { first: 1, last: 2 } });
    assert.equal(rules[0], `${pools} -p tcp --jump SNAT --to-source 192.0.2.1:1-2 --random-fully`);
    assert.equal(rules[4], `${pools} --jump SNAT --to-source 192.0.2.1 --random-fully`);
    assert.match(outgoing({ natOutgoingAddress }, 6)[0] ?? "", /MASQUERADE/);
  });
});

test("floatingIpChains(): each address once, sorted, of the family", () => {
  const pair = (internal: string, external: string) => ({
    internal: parseIpAddr(internal),
    external: parseIpAddr(external),
  });
  const endpoint = {
    interfaceName: "calia",
    addresses: [],
    tiers: [],
    profiles: [],
    allowedSourcePrefixes: [],
  };
  const endpoints: LocalEndpoint[] = [
    { ...endpoint, floating: [pair("10.0.0.2", "192.0.2.9"), pair("10.0.0.2", "192.0.2.1")] },
    { ...endpoint, floating: [pair("10.0.0.1", "192.0.2.9"), pair("fd00::1", "2001:db8::1")] },
  ];
  const v4 = floatingIpChains(endpoints, 4);
  assert.deepEqual(showChain(v4, "cali-fip-dnat"), [
    "--destination 192.0.2.1 --jump DNAT --to-destination 10.0.0.2",
    "--destination 192.0.2.9 --jump DNAT --to-destination 10.0.0.1",
  ]);
  assert.deepEqual(showChain(v4, "cali-fip-snat"), [
    "--destination 10.0.0.1 --source 10.0.0.1 --jump SNAT --to-source 192.0.2.9 --random-fully",
    "--destination 10.0.0.2 --source 10.0.0.2 --jump SNAT --to-source 192.0.2.1 --random-fully",
  ]);
  assert.deepEqual(showChain(floatingIpChains(endpoints, 6), "cali-fip-dnat"), [
    "--destination 2001:db8::1 --jump DNAT --to-destination fd00::1",
  ]);
});

describe("staticNatChains()", () => {
  const local =
    "-m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL --jump MASQUERADE";

  test("without tunnels", () => {
    const chains = staticNatChains(defaultRulesConfig, 4);
    assert.deepEqual(showChain(chains, "cali-PREROUTING"), ["--jump cali-fip-dnat"]);
    assert.deepEqual(showChain(chains, "cali-OUTPUT"), ["--jump cali-fip-dnat"]);
    assert.deepEqual(showChain(chains, "cali-POSTROUTING"), [
      "--jump cali-fip-snat",
      "--jump cali-nat-outgoing",
    ]);
  });

  test("masquerades the host's own packets into a tunnel that has its address", () => {
    const config = { ...defaultRulesConfig, ipipEnabled: true };
    assert.equal(showChain(staticNatChains(config, 4), "cali-POSTROUTING").length, 2);
    const ready = { ...config, ipipDevice: "tunl0" };
    assert.equal(
      showChain(staticNatChains(ready, 4), "cali-POSTROUTING")[2],
      `--out-interface tunl0 ${local} --random-fully`,
    );
    assert.equal(showChain(staticNatChains(ready, 6), "cali-POSTROUTING").length, 2);
  });

  test("keeps UDP off the VXLAN port, in the larger range", () => {
    for (const [vxlanPort, range] of [
      [4789, "4790-65535"],
      [50_000, "1024-49999"],
      [1024, "1025-65535"],
      [53, "1024-65535"],
    ] as const) {
      const config: RulesConfig = {
        ...defaultRulesConfig,
        vxlanEnabled: { 4: true, 6: false },
        vxlanDevice: { 4: "vxlan.calico" },
        vxlanPort,
      };
      assert.deepEqual(showChain(staticNatChains(config, 4), "cali-POSTROUTING").slice(2), [
        `-p udp --out-interface vxlan.calico ${local} --to-ports ${range} --random-fully`,
        `--out-interface vxlan.calico ${local} --random-fully`,
      ]);
    }
  });

  test("keeps UDP off the ports of two tunnels", () => {
    for (const [port, range] of [
      [8285, "8286-65535"],
      [40_000, "4790-39999"],
    ] as const) {
      const config: RulesConfig = {
        ...defaultRulesConfig,
        vxlanEnabled: { 4: true, 6: false },
        vxlanDevice: { 4: "vxlan.calico" },
        udpTunnel: { port, family: 4, device: "udp.tortie" },
      };
      const udp = showChain(staticNatChains(config, 4), "cali-POSTROUTING").filter((rule) =>
        rule.startsWith("-p udp"),
      );
      assert.equal(udp.length, 2);
      for (const rule of udp) assert.ok(rule.includes(`--to-ports ${range} `), rule);
    }
  });
});

test("cidrBlockChain() sorts, and keeps to its family and action", () => {
  const cidrs = ["10.96.0.0/12", "fd96::/108", "10.1.0.0/16"] as Prefix[];
  assert.deepEqual(show(cidrBlockChain(cidrs, defaultRulesConfig, 4).rules), [
    "--destination 10.1.0.0/16 --jump DROP",
    "--destination 10.96.0.0/12 --jump DROP",
  ]);
  const reject = { ...defaultRulesConfig, serviceLoopPrevention: "Reject" } as const;
  assert.deepEqual(show(cidrBlockChain(cidrs, reject, 6).rules), [
    "--destination fd96::/108 --jump REJECT",
  ]);
  const disabled = { ...defaultRulesConfig, serviceLoopPrevention: "Disabled" } as const;
  assert.deepEqual(cidrBlockChain(cidrs, disabled, 4).rules, []);
});
