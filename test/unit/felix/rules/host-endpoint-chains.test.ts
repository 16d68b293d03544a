import assert from "node:assert/strict";
import { test } from "node:test";
import type { EndpointTier, LocalHostEndpoint } from "../../../../src/felix/calc/updates.ts";
import { failsafeChains } from "../../../../src/felix/rules/failsafe-chains.ts";
import {
  hostFilterChains,
  hostMangleChains,
  hostRawChains,
} from "../../../../src/felix/rules/host-endpoint-chains.ts";
import { defaultRulesConfig, type RulesConfig } from "../../../../src/felix/rules/rules-config.ts";
import type { Prefix } from "../../../../src/lib/prefix.ts";
import { showChain } from "./show-chains.ts";

const established = (action: string) =>
  `-m conntrack --ctstate RELATED,ESTABLISHED --jump ${action}`;
const invalid = "-m conntrack --ctstate INVALID --jump DROP";
const clear = "--jump MARK --set-mark 0/0x30000";
const marked = "-m mark --mark 0x10000/0x10000";
const start = '-m comment --comment "Start of tier t" --jump MARK --set-mark 0/0x20000';
const call = (chain: string) => `-m mark --mark 0/0x20000 --jump ${chain}`;
const accepted = `-m comment --comment "Return if policy accepted" ${marked} --jump RETURN`;
const end =
  '-m comment --comment "End of tier t. Drop if no policies passed packet" -m mark --mark 0/0x20000 --jump DROP';
const profile = [
  "--jump cali-pro-p",
  `-m comment --comment "Return if profile accepted" ${marked} --jump RETURN`,
  '-m comment --comment "Drop if no profiles matched" --jump DROP',
];

const tier = (id: string): EndpointTier => ({
  name: "t",
  defaultAction: "Deny",
  ingress: [id],
  egress: [id],
});

const nothing: LocalHostEndpoint = {
  expectedAddresses: [],
  profiles: [],
  tiers: [],
  forwardTiers: [],
  untrackedTiers: [],
  preDnatTiers: [],
};

const context = (config: Partial<RulesConfig> = {}) => ({
  policies: new Map(),
  config: { ...defaultRulesConfig, ...config },
});

test("normal policies: what the host sends, failsafe ports before them, profiles after", () => {
  const endpoint = { ...nothing, tiers: [tier("gnp/x")], profiles: ["p"] };
  const chains = hostFilterChains("eth0", endpoint, context());
  assert.deepEqual(showChain(chains, "cali-th-eth0"), [
    established("ACCEPT"),
    invalid,
    "--jump cali-failsafe-out",
    clear,
    start,
    call("cali-po-gnp/x"),
    accepted,
    end,
    ...profile,
  ]);
  const received = showChain(chains, "cali-fh-eth0");
  assert.deepEqual(received.slice(2, 6), [
    "--jump cali-failsafe-in",
    clear,
    start,
    call("cali-pi-gnp/x"),
  ]);
});

test("what is forwarded passes when no policy asks, and has no failsafe ports and no profiles", () => {
  const open = hostFilterChains("eth0", { ...nothing, profiles: ["p"] }, context());
  assert.deepEqual(showChain(open, "cali-fhfw-eth0"), [
    established("ACCEPT"),
    invalid,
    clear,
    '-m comment --comment "Allow forwarded traffic by default" --jump MARK --set-mark 0x10000/0x10000',
    '-m comment --comment "Return for accepted forward traffic" --jump RETURN',
  ]);
  const asked = hostFilterChains("eth0", { ...nothing, forwardTiers: [tier("gnp/x")] }, context());
  assert.deepEqual(showChain(asked, "cali-thfw-eth0").slice(2), [
    clear,
    start,
    call("cali-po-gnp/x"),
    accepted,
    end,
  ]);
});

test("untracked policies take what they accept out of tracking, and drop nothing at their end", () => {
  const chains = hostRawChains("eth0", { ...nothing, untrackedTiers: [tier("gnp/x")] }, context());
  assert.deepEqual(showChain(chains, "cali-fh-eth0"), [
    "--jump cali-failsafe-in",
    clear,
    start,
    call("cali-pi-gnp/x"),
    `${marked} --jump NOTRACK`,
    accepted,
  ]);
});

test("the mangle table: pre-DNAT policies on what comes, normal ones on what goes, without REJECT", () => {
  const endpoint = {
    ...nothing,
    profiles: ["p"],
    tiers: [tier("gnp/x")],
    preDnatTiers: [tier("gnp/y")],
  };
  const chains = hostMangleChains("eth0", endpoint, context({ filterDenyAction: "REJECT" }));
  assert.deepEqual(showChain(chains, "cali-fh-eth0"), [
    established("ACCEPT"),
    invalid,
    "--jump cali-failsafe-in",
    clear,
    start,
    call("cali-pi-gnp/y"),
    accepted,
  ]);
  assert.deepEqual(showChain(chains, "cali-th-eth0"), [
    "-m conntrack --ctstate RELATED,ESTABLISHED --jump MARK --set-mark 0x10000/0x10000",
    established("RETURN"),
    invalid,
    "--jump cali-failsafe-out",
    clear,
    start,
    call("cali-po-gnp/x"),
    accepted,
    end,
    ...profile,
  ]);
});

test("failsafe ports: by protocol and peer of the family; answers too where nothing is tracked", () => {
  const config: RulesConfig = {
    ...defaultRulesConfig,
    failsafeInbound: [
      { protocol: "tcp", port: 22 },
      { protocol: "udp", port: 68, net: "10.0.0.0/8" as Prefix },
    ],
    failsafeOutbound: [{ protocol: "udp", port: 53, net: "2001:db8::/32" as Prefix }],
  };
  const port = (number: number, protocol = "tcp", side = "destination") =>
    `-p ${protocol} -m multiport --${side}-ports ${number}`;
  const filter = failsafeChains("filter", config, 4);
  assert.deepEqual(showChain(filter, "cali-failsafe-in"), [
    `${port(22)} --jump ACCEPT`,
    `${port(68, "udp")} --source 10.0.0.0/8 --jump ACCEPT`,
  ]);
  assert.deepEqual(showChain(filter, "cali-failsafe-out"), []);
  const raw = failsafeChains("raw", config, 6);
  assert.deepEqual(showChain(raw, "cali-failsafe-in"), [
    `${port(22)} --jump ACCEPT`,
    `${port(53, "udp", "source")} --source 2001:db8::/32 --jump ACCEPT`,
  ]);
  assert.deepEqual(showChain(raw, "cali-failsafe-out"), [
    `${port(53, "udp")} --destination 2001:db8::/32 --jump ACCEPT`,
    `${port(22, "tcp", "source")} --jump ACCEPT`,
  ]);
});
