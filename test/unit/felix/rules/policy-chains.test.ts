import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { anyEntity } from "../../../../src/felix/calc/rule-scanner.ts";
import type { ActivePolicy, ResolvedRule } from "../../../../src/felix/calc/updates.ts";
import { splitPorts } from "../../../../src/felix/rules/match-blocks.ts";
import { policyChains, profileChains } from "../../../../src/felix/rules/policy-chains.ts";
import { defaultRulesConfig } from "../../../../src/felix/rules/rules-config.ts";
import { renderChain } from "../../../../src/kernel/iptables/rendered-chain.ts";
import { InputError } from "../../../../src/lib/errors.ts";
import type { IpFamily } from "../../../../src/lib/ip-addr.ts";
import type { Prefix } from "../../../../src/lib/prefix.ts";
import { showChain } from "./show-chains.ts";

const base: ActivePolicy = {
  tier: "default",
  shortKind: "gnp",
  name: "p",
  selector: "all()",
  types: ["Ingress"],
  ingress: [],
  egress: [],
};
const placeholder = '-m comment --comment "GlobalNetworkPolicy p ingress"';

function ingress(
  rules: readonly Partial<ResolvedRule>[],
  family: IpFamily = 4,
  config = defaultRulesConfig,
) {
  const full = rules.map((rule) => ({
    action: "deny" as const,
    source: anyEntity,
    destination: anyEntity,
    ...rule,
  }));
  return showChain(
    policyChains("gnp/p", { ...base, ingress: full }, { config, family }),
    "cali-pi-gnp/p",
  );
}

/** Rules of one denying rule: without the first's comment and the two of the verdict. */
function matchOf(rule: Partial<ResolvedRule>, family: IpFamily = 4): string[] {
  return ingress([rule], family).map((text) => text.replace(`${placeholder} `, ""));
}

const nets = (...texts: string[]): Prefix[] => texts as Prefix[];
const setAll = "--jump MARK --set-mark 0x80000/0x80000";
const setThis = "--jump MARK --set-mark 0x100000/0x100000";
const reset = "--jump MARK --set-mark 0x0/0x180000";
const andThis = "-m mark --mark 0/0x100000 --jump MARK --set-mark 0/0x80000";
const all = "-m mark --mark 0x80000/0x80000";
const deny = "--jump MARK --set-mark 0x40000/0x40000";
const drop = "-m mark --mark 0x40000/0x40000 --jump DROP";

test("iptables takes one protocol: what it must not be besides is left out, or nothing matches", () => {
  assert.deepEqual(matchOf({ protocol: "icmp", notProtocol: "tcp" }), [`-p icmp ${deny}`, drop]);
  assert.deepEqual(matchOf({ protocol: "tcp", notProtocol: 6 }), [placeholder]);
});

test("facts B.2: the chain of KubernetesNetworkPolicy default/allow-web", () => {
  const policy: ActivePolicy = {
    ...base,
    shortKind: "knp",
    namespace: "default",
    name: "allow-web",
    ingress: [
      {
        action: "allow",
        protocol: "tcp",
        source: { ...anyEntity, ipSets: ["s:g_TM4cHGncRYRKupcms5_3mlb7DhnbSzVvsVlw"] },
        destination: { ...anyEntity, ports: [{ first: 80, last: 80 }] },
      },
    ],
  };
  const chains = policyChains("knp/default/allow-web", policy, {
    config: defaultRulesConfig,
    family: 4,
  });
  // A return at the end of a chain is left out (facts 4.6).
  assert.deepEqual(showChain(chains, "cali-pi-_l7X9Omtz7dibbh9L3Lp"), [
    '-m comment --comment "KubernetesNetworkPolicy default/allow-web ingress" -p tcp ' +
      "-m set --match-set cali40s:g_TM4cHGncRYRKupcms5_3m src -m multiport --destination-ports 80 " +
      "--jump MARK --set-mark 0x10000/0x10000",
  ]);
  assert.deepEqual(showChain(chains, "cali-po-_l7X9Omtz7dibbh9L3Lp"), [
    '-m comment --comment "KubernetesNetworkPolicy default/allow-web egress"',
  ]);
});

test("profileChains() names the profile", () => {
  const profile = {
    ingress: [],
    egress: [{ action: "allow", source: anyEntity, destination: anyEntity }],
  } as const;
  const chains = profileChains("kns.default", profile, { config: defaultRulesConfig, family: 6 });
  assert.deepEqual(showChain(chains, "cali-pri-kns.default"), [
    '-m comment --comment "Profile kns.default ingress"',
  ]);
  assert.deepEqual(showChain(chains, "cali-pro-kns.default"), [
    '-m comment --comment "Profile kns.default egress" --jump MARK --set-mark 0x10000/0x10000',
  ]);
});

describe("verdicts", () => {
  test("a denial is told of by its rule's place, log rules have a limit", () => {
    const config = {
      ...defaultRulesConfig,
      denialLogLimit: { rate: "10/second", burst: 20 },
      logActionLimit: { rate: "7/minute", burst: 5 },
    };
    const rules = [{ action: "log" as const }, { protocol: "tcp" }];
    assert.deepEqual(ingress(rules, 4, config), [
      `${placeholder} -m limit --limit 7/minute --limit-burst 5 --jump LOG --log-prefix "calico-packet: " --log-level 5`,
      `-p tcp ${deny}`,
      "-m mark --mark 0x40000/0x40000 -m limit --limit 10/second --limit-burst 20 --jump NFLOG --nflog-group 1 --nflog-prefix DPI1|gnp/p --nflog-size 80",
      drop,
    ]);
  });

  test("allow and pass mark and return, deny marks and drops, log goes on", () => {
    const protocol = "tcp";
    assert.deepEqual(
      ingress([
        { action: "allow", protocol },
        { action: "pass", protocol },
        { action: "log", protocol },
        { action: "deny", protocol },
        { action: "pass", protocol },
      ]),
      [
        `${placeholder} -p tcp --jump MARK --set-mark 0x10000/0x10000`,
        "-m mark --mark 0x10000/0x10000 --jump RETURN",
        "-p tcp --jump MARK --set-mark 0x20000/0x20000",
        "-m mark --mark 0x20000/0x20000 --jump RETURN",
        '-p tcp --jump LOG --log-prefix "calico-packet: " --log-level 5',
        `-p tcp ${deny}`,
        drop,
        "-p tcp --jump MARK --set-mark 0x20000/0x20000",
      ],
    );
  });

  test("the log prefix names what it is told to", () => {
    const config = { ...defaultRulesConfig, logPrefix: "%t/%k %p %x" };
    assert.equal(
      ingress([{ action: "log" }], 4, config)[0],
      `${placeholder} --jump LOG --log-prefix "default/gnp p %x: " --log-level 5`,
    );
  });

  test("annotations are comments, in order of their keys, before the policy's", () => {
    const annotations = { b: "2", a: '"1"\n' };
    assert.deepEqual(ingress([{ annotations }]), [
      `-m comment --comment "a=_1__" -m comment --comment "b=2" ${placeholder} ${deny}`,
      `-m comment --comment "a=_1__" -m comment --comment "b=2" ${drop}`,
    ]);
  });
});

describe("matches", () => {
  test("stand in Calico's order", () => {
    const entity = {
      nets: nets("10.0.0.0/8"),
      notNets: [],
      ipSets: ["s:a", "s:b"],
      ipPortSets: [],
      notIpSets: ["s:c"],
      ports: [{ first: 1, last: 2 }],
      notPorts: [{ first: 3, last: 3 }],
      namedPortSets: [],
      notNamedPortSets: ["n:d"],
    };
    const side = (way: string, name: string): readonly [string, string] => [
      `--${name} 10.0.0.0/8 -m set --match-set cali40s:a ${way} -m set --match-set cali40s:b ${way} -m multiport --${name}-ports 1:2`,
      `-m set ! --match-set cali40s:c ${way} -m multiport ! --${name}-ports 3 -m set ! --match-set cali40n:d ${way},${way}`,
    ];
    const [source, notSource] = side("src", "source");
    const [destination, notDestination] = side("dst", "destination");
    assert.deepEqual(matchOf({ protocol: "udp", source: entity, destination: entity }), [
      `-p udp ${source} ${destination} ${notSource} ${notDestination} ${deny}`,
      drop,
    ]);
  });

  test("ICMP and not ICMP, of each family", () => {
    const icmp = { type: 8, code: 0 };
    const notIcmp = { type: 128 };
    assert.equal(matchOf({ protocol: "icmp", icmp })[0], `-p icmp -m icmp --icmp-type 8/0 ${deny}`);
    assert.deepEqual(matchOf({ protocol: "icmp", icmp }, 6), [placeholder]);
    assert.equal(
      matchOf({ protocol: 58, notIcmp }, 6)[0],
      `-p 58 -m icmp6 ! --icmpv6-type 128 ${deny}`,
    );
    assert.equal(matchOf({ protocol: "icmpv6", notIcmp }, 4)[0], `-p icmpv6 ${deny}`);
  });

  test("not a protocol", () => {
    assert.equal(matchOf({ notProtocol: "tcp" })[0], `! -p tcp ${deny}`);
  });

  test("ports of no protocol with ports are refused", () => {
    const destination = { ...anyEntity, ports: [{ first: 80, last: 80 }] };
    assert.throws(
      () => matchOf({ destination }),
      /ports of protocol any: GlobalNetworkPolicy p ingress/,
    );
    assert.throws(() => matchOf({ destination, protocol: "icmp" }), InputError);
  });
});

describe("families", () => {
  const source = (...texts: string[]) => ({ source: { ...anyEntity, nets: nets(...texts) } });
  const notSource = (...texts: string[]) => ({ source: { ...anyEntity, notNets: nets(...texts) } });

  test("a rule of the other version vanishes", () => {
    assert.deepEqual(matchOf({ ipVersion: 6 }), [placeholder]);
    assert.deepEqual(matchOf({ ipVersion: 6 }, 6), [deny, drop]);
  });

  test("a rule whose nets are all of the other family vanishes; mixed ones are filtered", () => {
    assert.deepEqual(matchOf(source("fd00::/8")), [placeholder]);
    assert.equal(matchOf(source("fd00::/8", "10.0.0.0/8"))[0], `--source 10.0.0.0/8 ${deny}`);
  });

  test("a rule whose negated nets are of the other family stays", () => {
    assert.equal(matchOf(notSource("fd00::/8"))[0], deny);
  });

  test("a rule that excludes every address vanishes", () => {
    assert.deepEqual(matchOf(notSource("0.0.0.0/0")), [placeholder]);
    assert.equal(matchOf(notSource("::/0"))[0], deny);
  });
});

describe("match blocks", () => {
  const ports = Array.from({ length: 16 }, (_, i) => ({ first: i + 1, last: i + 1 }));

  test("more than 15 ports", () => {
    assert.deepEqual(matchOf({ protocol: "tcp", destination: { ...anyEntity, ports } }), [
      reset,
      `-p tcp -m multiport --destination-ports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15 ${setAll}`,
      `-p tcp -m multiport --destination-ports 16 ${setAll}`,
      `-p tcp ${all} ${deny}`,
      drop,
    ]);
  });

  test("named and numeric ports, on both sides", () => {
    const entity = { ...anyEntity, ports: ports.slice(0, 1), namedPortSets: ["n:a"] };
    assert.deepEqual(matchOf({ protocol: "tcp", source: entity, destination: entity }), [
      reset,
      `-p tcp -m multiport --source-ports 1 ${setAll}`,
      `-m set --match-set cali40n:a src,src ${setAll}`,
      `-p tcp -m multiport --destination-ports 1 ${setThis}`,
      `-m set --match-set cali40n:a dst,dst ${setThis}`,
      andThis,
      `-p tcp ${all} ${deny}`,
      drop,
    ]);
  });

  test("a third block begins without what the second has found", () => {
    const entity = {
      ...anyEntity,
      ports: ports.slice(0, 1),
      namedPortSets: ["n:a"],
      nets: nets("10.0.0.0/8", "172.16.0.0/12"),
    };
    const source = { ...entity, nets: [] };
    assert.deepEqual(matchOf({ protocol: "tcp", source, destination: entity }), [
      reset,
      `-p tcp -m multiport --source-ports 1 ${setAll}`,
      `-m set --match-set cali40n:a src,src ${setAll}`,
      `-p tcp -m multiport --destination-ports 1 ${setThis}`,
      `-m set --match-set cali40n:a dst,dst ${setThis}`,
      andThis,
      "--jump MARK --set-mark 0/0x100000",
      `--destination 10.0.0.0/8 ${setThis}`,
      `--destination 172.16.0.0/12 ${setThis}`,
      andThis,
      `-p tcp ${all} ${deny}`,
      drop,
    ]);
  });

  test("several nets, and several that are not", () => {
    const entity = {
      ...anyEntity,
      nets: nets("10.0.0.0/8", "172.16.0.0/12"),
      notNets: nets("10.1.0.0/16", "10.2.0.0/16"),
    };
    assert.deepEqual(matchOf({ source: entity, destination: entity }), [
      reset,
      `--source 10.0.0.0/8 ${setAll}`,
      `--source 172.16.0.0/12 ${setAll}`,
      `--destination 10.0.0.0/8 ${setThis}`,
      `--destination 172.16.0.0/12 ${setThis}`,
      andThis,
      "--source 10.1.0.0/16 --jump MARK --set-mark 0/0x80000",
      "--source 10.2.0.0/16 --jump MARK --set-mark 0/0x80000",
      "--destination 10.1.0.0/16 --jump MARK --set-mark 0/0x80000",
      "--destination 10.2.0.0/16 --jump MARK --set-mark 0/0x80000",
      `${all} ${deny}`,
      drop,
    ]);
  });

  test("one net and one that is not do not fit one rule; negated blocks alone begin set", () => {
    const entity = { ...anyEntity, nets: nets("10.0.0.0/8"), notNets: nets("10.1.0.0/16") };
    assert.deepEqual(matchOf({ source: entity }), [
      "--jump MARK --set-mark 0x80000/0x180000",
      "--source 10.1.0.0/16 --jump MARK --set-mark 0/0x80000",
      `--source 10.0.0.0/8 ${all} ${deny}`,
      drop,
    ]);
  });

  test("splitPorts() keeps all, in order, in at most 15 slots", () => {
    const range = fc
      .tuple(fc.nat(65_535), fc.nat(3))
      .map(([first, more]) => ({ first, last: first + more }));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 60 }), (ranges) => {
        const splits = splitPorts(ranges);
        assert.deepEqual(splits.flat(), ranges);
        for (const split of splits) {
          const slots = split.reduce((sum, { first, last }) => sum + (first === last ? 1 : 2), 0);
          assert.ok(slots >= 1 && slots <= 15);
        }
      }),
    );
  });
});

test("whatever a policy is called, its chains can be written, and each has its own", () => {
  const names = new Set<string>();
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ unit: "binary" }), { maxLength: 5 }), (some) => {
      names.clear();
      for (const name of some) {
        const policy = { ...base, name, namespace: name, selector: name };
        for (const chain of policyChains(`np/${name}`, policy, {
          config: defaultRulesConfig,
          family: 4,
        })) {
          names.add(
            renderChain(chain, { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true })
              .name,
          );
        }
      }
      assert.equal(names.size, 2 * some.length);
    }),
  );
});
