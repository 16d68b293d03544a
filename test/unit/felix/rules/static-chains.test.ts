import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { defaultRulesConfig, type RulesConfig } from "../../../../src/felix/rules/rules-config.ts";
import {
  kernelChainRules,
  staticMangleChains,
  staticRawChains,
} from "../../../../src/felix/rules/static-chains.ts";
import { staticFilterChains } from "../../../../src/felix/rules/static-filter-chains.ts";
import { show, showChain } from "./show-chains.ts";

const tunnels: RulesConfig = {
  ...defaultRulesConfig,
  ipipEnabled: true,
  vxlanEnabled: { 4: true, 6: true },
};
const accepted = '-m comment --comment "Host endpoint policy accepted packet."';
const marked = "-m mark --mark 0x10000/0x10000";

describe("raw table", () => {
  test("cali-PREROUTING", () => {
    assert.deepEqual(showChain(staticRawChains(tunnels, 4), "cali-PREROUTING"), [
      "--jump MARK --set-mark 0/0x1b0000",
      "-p udp --dport 4789 --jump NOTRACK",
      "--in-interface cali+ --jump MARK --set-mark 0x80000/0x80000",
      "-m mark --mark 0x80000/0x80000 --jump cali-rpf-skip",
      "-m mark --mark 0x80000/0x80000 -m rpfilter --invert --validmark --jump DROP",
      "-m mark --mark 0/0x80000 --jump cali-from-host-endpoint",
      `${marked} --jump ACCEPT`,
    ]);
  });

  test("cali-OUTPUT", () => {
    assert.deepEqual(showChain(staticRawChains(tunnels, 6), "cali-OUTPUT"), [
      "--jump MARK --set-mark 0/0x1b0000",
      "--jump cali-to-host-endpoint",
      "-p udp --dport 4789 --jump NOTRACK",
      `${marked} --jump ACCEPT`,
    ]);
  });
});

test("the userspace UDP tunnel has the rules of VXLAN, with its port", () => {
  const config = { ...defaultRulesConfig, udpTunnel: { port: 8285, family: 4 as const } };
  const filter = staticFilterChains(config, 4);
  const of = (chain: string) => showChain(filter, chain).filter((rule) => rule.includes("8285"));
  assert.deepEqual(of("cali-INPUT"), [
    '-m comment --comment "Allow IPv4 UDP tunnel packets from allowed hosts" -p 17 -m multiport --destination-ports 8285 -m set --match-set cali40all-vxlan-net src -m addrtype --dst-type LOCAL --jump ACCEPT',
    '-m comment --comment "Drop IPv4 UDP tunnel packets from non-allowed hosts" -p 17 -m multiport --destination-ports 8285 -m addrtype --dst-type LOCAL --jump DROP',
  ]);
  assert.equal(of("cali-OUTPUT").length, 1);
  const raw = showChain(staticRawChains(config, 4), "cali-PREROUTING");
  assert.ok(raw.includes("-p udp --dport 8285 --jump NOTRACK"), raw.join("\n"));
  assert.doesNotMatch(showChain(staticRawChains(config, 6), "cali-PREROUTING").join(), /8285/);
});

describe("mangle table", () => {
  const chains = staticMangleChains({ ...tunnels, mangleAllowAction: "RETURN" }, 4);

  test("cali-PREROUTING", () => {
    assert.deepEqual(showChain(chains, "cali-PREROUTING"), [
      "-m conntrack --ctstate RELATED,ESTABLISHED --jump RETURN",
      `${marked} --jump RETURN`,
      "--jump cali-from-host-endpoint",
      `${accepted} ${marked} --jump RETURN`,
    ]);
  });

  test("cali-POSTROUTING", () => {
    assert.deepEqual(showChain(chains, "cali-POSTROUTING"), [
      '-m comment --comment "set dscp for traffic leaving cluster." -m set --match-set cali40dscp-src-net src -m set ! --match-set cali40network-ip-pools dst -m set ! --match-set cali40this-host dst --jump cali-egress-dscp',
      `${marked} --jump RETURN`,
      "--jump MARK --set-mark 0/0x1b0000",
      "-m conntrack --ctstate DNAT --jump cali-to-host-endpoint",
      `${accepted} ${marked} --jump RETURN`,
    ]);
  });
});

describe("filter table", () => {
  test("cali-INPUT", () => {
    assert.deepEqual(showChain(staticFilterChains(tunnels, 4), "cali-INPUT"), [
      '-m comment --comment "Allow IPIP packets from Calico hosts" -p 4 -m set --match-set cali40all-hosts-net src -m addrtype --dst-type LOCAL --jump ACCEPT',
      '-m comment --comment "Drop IPIP packets from non-Calico hosts" -p 4 --jump DROP',
      '-m comment --comment "Allow IPv4 VXLAN packets from allowed hosts" -p 17 -m multiport --destination-ports 4789 -m set --match-set cali40all-vxlan-net src -m addrtype --dst-type LOCAL --jump ACCEPT',
      '-m comment --comment "Drop IPv4 VXLAN packets from non-allowed hosts" -p 17 -m multiport --destination-ports 4789 -m addrtype --dst-type LOCAL --jump DROP',
      "--in-interface cali+ --goto cali-wl-to-host",
      `${marked} --jump ACCEPT`,
      "--jump MARK --set-mark 0/0x1b0000",
      "--jump cali-from-host-endpoint",
      `${accepted} ${marked} --jump ACCEPT`,
    ]);
  });

  test("cali-INPUT of IPv6 knows no IPIP", () => {
    const rules = showChain(staticFilterChains(tunnels, 6), "cali-INPUT");
    assert.equal(rules.filter((rule) => rule.includes("-p 4 ")).length, 0);
    assert.match(rules[0] ?? "", /IPv6 VXLAN .* cali60all-vxlan-net src/);
  });

  test("cali-wl-to-host of IPv6, with each DefaultEndpointToHostAction", () => {
    for (const [action, verdict] of [
      ["DROP", "REJECT"],
      ["ACCEPT", "ACCEPT"],
      ["RETURN", "RETURN"],
    ] as const) {
      const config = {
        ...tunnels,
        defaultEndpointToHostAction: action,
        filterDenyAction: "REJECT",
      } as const;
      assert.deepEqual(showChain(staticFilterChains(config, 6), "cali-wl-to-host"), [
        ...[130, 131, 132, 133, 135, 136].map(
          (type) => `-p 58 -m icmp6 --icmpv6-type ${type} --jump ACCEPT`,
        ),
        "--jump cali-from-wl-dispatch",
        `-m comment --comment "Configured DefaultEndpointToHostAction" --jump ${verdict}`,
      ]);
    }
  });

  test("cali-FORWARD, with two prefixes", () => {
    const config = { ...tunnels, workloadInterfacePrefixes: ["cali", "tap"] };
    assert.deepEqual(showChain(staticFilterChains(config, 4), "cali-FORWARD"), [
      "--jump MARK --set-mark 0/0x1a0000",
      "-m mark --mark 0/0x10000 --jump cali-from-hep-forward",
      "--in-interface cali+ --jump cali-from-wl-dispatch",
      "--out-interface cali+ --jump cali-to-wl-dispatch",
      "--in-interface tap+ --jump cali-from-wl-dispatch",
      "--out-interface tap+ --jump cali-to-wl-dispatch",
      "--jump cali-to-hep-forward",
      "--jump cali-cidr-block",
    ]);
  });

  test("cali-OUTPUT", () => {
    assert.deepEqual(showChain(staticFilterChains(tunnels, 4), "cali-OUTPUT"), [
      `${marked} --jump ACCEPT`,
      "--out-interface cali+ --jump RETURN",
      '-m comment --comment "Allow IPIP packets to other Calico hosts" -p 4 -m set --match-set cali40all-hosts-net dst -m addrtype --src-type LOCAL --jump ACCEPT',
      '-m comment --comment "Allow IPv4 VXLAN packets to other allowed hosts" -p 17 -m multiport --destination-ports 4789 -m addrtype --src-type LOCAL -m set --match-set cali40all-vxlan-net dst --jump ACCEPT',
      "--jump MARK --set-mark 0/0x1b0000",
      "-m conntrack ! --ctstate DNAT --jump cali-to-host-endpoint",
      `${accepted} ${marked} --jump ACCEPT`,
    ]);
  });
});

describe("kernelChainRules()", () => {
  const rows = [
    ["raw", ["PREROUTING", "OUTPUT"], []],
    ["mangle", ["PREROUTING", "POSTROUTING"], []],
    ["nat", ["PREROUTING", "OUTPUT"], ["POSTROUTING"]],
    ["filter", ["INPUT", "FORWARD", "OUTPUT"], ["FORWARD"]],
  ] as const;
  for (const [table, inserted, appended] of rows) {
    test(`${table}: jumps from ${inserted}, appends to ${appended}`, () => {
      const { insertions, appends } = kernelChainRules(table, defaultRulesConfig);
      assert.deepEqual([...insertions.keys()], inserted);
      assert.deepEqual([...appends.keys()], appended);
      for (const [chain, rules] of insertions)
        assert.deepEqual(show(rules), [`--jump cali-${chain}`]);
    });
  }

  test("what policy accepted is accepted behind all others' rules", () => {
    const { appends } = kernelChainRules("filter", defaultRulesConfig);
    assert.deepEqual(show(appends.get("FORWARD") ?? []), [
      `-m comment --comment "Policy explicitly accepted packet." ${marked} --jump ACCEPT`,
      "--jump MARK --set-mark 0x10000/0x10000",
    ]);
  });
});
