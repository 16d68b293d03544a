import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type {
  ActivePolicy,
  EndpointTier,
  LocalEndpoint,
} from "../../../../src/felix/calc/updates.ts";
import {
  rpfSkipChain,
  workloadEndpointChains,
} from "../../../../src/felix/rules/endpoint-chains.ts";
import { endpointGroupChains, groupPolicies } from "../../../../src/felix/rules/policy-groups.ts";
import { defaultRulesConfig, type RulesConfig } from "../../../../src/felix/rules/rules-config.ts";
import type { Prefix } from "../../../../src/lib/prefix.ts";
import { show, showChain } from "./show-chains.ts";

const established = "-m conntrack --ctstate RELATED,ESTABLISHED --jump ACCEPT";
const invalid = "-m conntrack --ctstate INVALID --jump DROP";
const clear = "--jump MARK --set-mark 0/0x30000";
const start = (tier: string): string =>
  `-m comment --comment "Start of tier ${tier}" --jump MARK --set-mark 0/0x20000`;
const call = (chain: string): string => `-m mark --mark 0/0x20000 --jump ${chain}`;
const accepted =
  '-m comment --comment "Return if policy accepted" -m mark --mark 0x10000/0x10000 --jump RETURN';
const end = (tier: string): string =>
  `-m comment --comment "End of tier ${tier}. Drop if no policies passed packet" -m mark --mark 0/0x20000 --jump DROP`;
const profile = (chain: string): string[] => [
  `--jump ${chain}`,
  '-m comment --comment "Return if profile accepted" -m mark --mark 0x10000/0x10000 --jump RETURN',
];
const last = '-m comment --comment "Drop if no profiles matched" --jump DROP';
const encapsulated = [
  '-m comment --comment "Drop VXLAN encapped packets originating in workloads" -p 17 -m multiport --destination-ports 4789 --jump DROP',
  '-m comment --comment "Drop IPinIP encapped packets originating in workloads" -p 4 --jump DROP',
];

const policy = (selector: string): ActivePolicy => ({
  tier: "default",
  shortKind: "gnp",
  name: "x",
  selector,
  ingress: [],
  egress: [],
  types: ["Ingress", "Egress"],
});

const tier = (change: Partial<EndpointTier>): EndpointTier => ({
  name: "default",
  defaultAction: "Deny",
  ingress: [],
  egress: [],
  ...change,
});

const endpoint = (change: Partial<LocalEndpoint>): LocalEndpoint => ({
  interfaceName: "cali0d7763386da",
  addresses: [],
  tiers: [],
  profiles: ["kns.default"],
  allowedSourcePrefixes: [],
  floating: [],
  ...change,
});

function chain(
  way: "tw" | "fw",
  change: Partial<LocalEndpoint>,
  config: Partial<RulesConfig> = {},
  policies: ReadonlyMap<string, ActivePolicy> = new Map(),
): string[] {
  const chains = workloadEndpointChains(endpoint(change), policies, {
    ...defaultRulesConfig,
    ...config,
  });
  return showChain(chains, `cali-${way}-cali0d7763386da`);
}

test("facts B.2: ingress policy of one tier, egress by the profile", () => {
  const tiers = [tier({ ingress: ["knp/default/allow-web"] })];
  assert.deepEqual(chain("tw", { tiers }), [
    established,
    invalid,
    clear,
    start("default"),
    call("cali-pi-_l7X9Omtz7dibbh9L3Lp"),
    accepted,
    end("default"),
    ...profile("cali-pri-kns.default"),
    last,
  ]);
  assert.deepEqual(chain("fw", { tiers }), [
    established,
    invalid,
    clear,
    ...encapsulated,
    ...profile("cali-pro-kns.default"),
    last,
  ]);
});

describe("workloadEndpointChains()", () => {
  test("drops all of a pod without tiers and profiles", () => {
    assert.deepEqual(chain("tw", { profiles: [] }), [established, invalid, clear, last]);
  });

  test("tiers follow each other; one that passes by default does not drop", () => {
    const tiers = [
      tier({ name: "a", ingress: ["gnp/a.x"], defaultAction: "Pass" }),
      tier({ name: "b", egress: ["gnp/b.x"] }),
      tier({ name: "c", ingress: ["gnp/c.x"] }),
    ];
    assert.deepEqual(chain("tw", { tiers, profiles: [] }).slice(3), [
      start("a"),
      call("cali-pi-gnp/a.x"),
      accepted,
      start("c"),
      call("cali-pi-gnp/c.x"),
      accepted,
      end("c"),
      last,
    ]);
  });

  test("tells of what the end of a tier and the lack of a profile deny", () => {
    const tiers = [
      tier({ name: "a", ingress: ["gnp/a.x"], defaultAction: "Pass" }),
      tier({ name: "b", ingress: ["gnp/b.x"] }),
    ];
    const limit = "-m limit --limit 10/second --limit-burst 20";
    const config = { denialLogLimit: { rate: "10/second", burst: 20 } };
    assert.deepEqual(chain("tw", { tiers, profiles: [] }, config).slice(3), [
      start("a"),
      call("cali-pi-gnp/a.x"),
      accepted,
      start("b"),
      call("cali-pi-gnp/b.x"),
      accepted,
      `-m mark --mark 0/0x20000 ${limit} --jump NFLOG --nflog-group 1 --nflog-prefix DPI|b --nflog-size 80`,
      end("b"),
      `${limit} --jump NFLOG --nflog-group 1 --nflog-prefix DRI --nflog-size 80`,
      last,
    ]);
  });

  test("limits of packets come first, those of connections behind what goes on", () => {
    const qos = {
      ingress: { packets: { rate: 100, burst: 5 }, maxConnections: 3 },
      egress: { maxConnections: 4294967295 },
    };
    const cleared =
      '-m comment --comment "Clear ingress packet rate limit mark" --jump MARK --set-mark 0/0x80000';
    assert.deepEqual(chain("tw", { qos, profiles: [] }), [
      cleared,
      '-m comment --comment "Mark packets within ingress packet rate limit" -m limit --limit 100/sec --limit-burst 5 --jump MARK --set-mark 0x80000/0x80000',
      '-m comment --comment "Drop packets over ingress packet rate limit" -m mark ! --mark 0x80000/0x80000 --jump DROP',
      cleared,
      established,
      invalid,
      '-m comment --comment "Reject connections over ingress connection limit" -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m connlimit --connlimit-above 3 --connlimit-mask 0 -j REJECT --reject-with tcp-reset',
      clear,
      last,
    ]);
    assert.deepEqual(chain("fw", { qos, profiles: [] }).slice(0, 4), [
      established,
      invalid,
      '-m comment --comment "Reject connections over egress connection limit" -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m connlimit --connlimit-above 4294967295 --connlimit-mask 0 -j REJECT --reject-with tcp-reset',
      clear,
    ]);
  });

  test("follows its configuration", () => {
    const rules = chain(
      "fw",
      { profiles: [] },
      {
        filterAllowAction: "RETURN",
        filterDenyAction: "REJECT",
        disableConntrackInvalidCheck: true,
        allowIpipPacketsFromWorkloads: true,
        vxlanPort: 8472,
        udpTunnel: { port: 8285, family: 4 },
        ip6Tunnels: { sit: {} },
      },
    );
    assert.deepEqual(rules, [
      "-m conntrack --ctstate RELATED,ESTABLISHED --jump MARK --set-mark 0x10000/0x10000",
      "-m conntrack --ctstate RELATED,ESTABLISHED --jump RETURN",
      clear,
      '-m comment --comment "Reject VXLAN encapped packets originating in workloads" -p 17 -m multiport --destination-ports 8472 --jump REJECT',
      '-m comment --comment "Reject UDP tunnel encapped packets originating in workloads" -p 17 -m multiport --destination-ports 8285 --jump REJECT',
      '-m comment --comment "Reject IPv6inIP encapped packets originating in workloads" -p 41 --jump REJECT',
      '-m comment --comment "Reject if no profiles matched" --jump REJECT',
    ]);
  });

  test("neighbours of one selector are a group, with a chain that looks at the verdict every five", () => {
    const ids = ["gnp/1", "gnp/2", "gnp/3", "gnp/4", "gnp/5", "gnp/6", "gnp/7"];
    const policies = new Map(ids.map((id) => [id, policy(id === "gnp/7" ? "b" : "a")]));
    const tiers = [tier({ ingress: ids })];
    const groups = endpointGroupChains(tiers, policies, defaultRulesConfig);
    const [group] = groups;
    assert.ok(group !== undefined && groups.length === 1);
    assert.match(group.name, /^cali-gi-[\w-]{20}$/);
    assert.deepEqual(chain("tw", { tiers, profiles: [] }, {}, policies).slice(3), [
      start("default"),
      call(group.name),
      accepted,
      call("cali-pi-gnp/7"),
      accepted,
      end("default"),
      last,
    ]);
    const undecided = "-m mark --mark 0/0x30000 ";
    assert.deepEqual(show(group.rules), [
      "--jump cali-pi-gnp/1",
      `${undecided}--jump cali-pi-gnp/2`,
      `${undecided}--jump cali-pi-gnp/3`,
      `${undecided}--jump cali-pi-gnp/4`,
      `${undecided}--jump cali-pi-gnp/5`,
      '-m comment --comment "Return on verdict" -m mark ! --mark 0/0x30000 --jump RETURN',
      "--jump cali-pi-gnp/6",
    ]);
  });
});

test("groupPolicies() keeps the order, and puts unknown policies apart", () => {
  const policies = new Map(["1", "2", "4", "5"].map((id) => [id, policy(id === "5" ? "b" : "a")]));
  const groups = groupPolicies(["1", "2", "3", "?", "4", "5"], "egress", policies);
  assert.deepEqual(
    groups.map((group) => group.policies),
    [["1", "2"], ["3"], ["?"], ["4"], ["5"]],
  );
});

test("rpfSkipChain() lets a pod send from what it is allowed, in its family", () => {
  const allowedSourcePrefixes = ["192.0.2.0/24", "2001:db8::/32"] as Prefix[];
  const { name, rules } = rpfSkipChain([endpoint({ allowedSourcePrefixes })], 6);
  assert.equal(name, "cali-rpf-skip");
  assert.deepEqual(show(rules), [
    "--in-interface cali0d7763386da --source 2001:db8::/32 --jump ACCEPT",
  ]);
});
