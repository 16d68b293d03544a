import assert from "node:assert/strict";
import { test } from "node:test";
import type { EndpointTier, LocalHostEndpoint } from "../../../../src/felix/calc/updates.ts";
import {
  type HostAddressesByInterface,
  HostEndpointManager,
} from "../../../../src/felix/dataplane/host-endpoint-manager.ts";
import { defaultRulesConfig } from "../../../../src/felix/rules/rules-config.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { showChain } from "../rules/show-chains.ts";

const tier: EndpointTier = { name: "t", defaultAction: "Deny", ingress: ["gnp/x"], egress: [] };
const context = { policies: new Map(), config: defaultRulesConfig };

function managerOf(endpoints: Readonly<Record<string, Partial<LocalHostEndpoint>>>) {
  const manager = new HostEndpointManager();
  for (const [id, rest] of Object.entries(endpoints)) {
    const none = { tiers: [], forwardTiers: [], untrackedTiers: [], preDnatTiers: [] };
    const value = { expectedAddresses: [], profiles: [], ...none, ...rest };
    manager.onUpdate({ op: "set", kind: "hostEndpoint", id, value });
  }
  return manager;
}

const addresses = (given: Readonly<Record<string, string[]>>): HostAddressesByInterface =>
  new Map(Object.entries(given).map(([name, list]) => [name, new Set(list.map(parseIpAddr))]));
const expecting = (...list: string[]) => ({ expectedAddresses: list.map(parseIpAddr) });

function targets(manager: HostEndpointManager): string[] {
  return showChain(manager.filterChains(context), "cali-from-host-endpoint");
}

test("of several that claim an interface, the name that sorts first has it; the others are told", () => {
  const manager = managerOf({
    "b-named": { interfaceName: "eth0", tiers: [tier] },
    "a-address": { ...expecting("10.0.0.1"), profiles: ["winner"] },
    "c-address": expecting("10.0.0.2"),
  });
  const at = addresses({ eth0: ["10.0.0.1", "10.0.0.2"], eth1: ["10.0.0.3"] });
  const { changed, problems } = manager.resolve(at);
  assert.equal(changed, true);
  const reason = 'host endpoint "a-address" has the interface';
  assert.deepEqual(problems, [
    { endpoint: "b-named", interfaceName: "eth0", reason },
    { endpoint: "c-address", interfaceName: "eth0", reason },
  ]);
  assert.match(
    showChain(manager.filterChains(context), "cali-fh-eth0").join("\n"),
    /cali-pri-winner/,
  );
  assert.deepEqual(manager.resolve(at), { changed: false, problems: [] }, "told once");
  manager.onUpdate({ op: "remove", kind: "hostEndpoint", id: "a-address" });
  assert.equal(manager.resolve(at).changed, true);
  assert.match(showChain(manager.filterChains(context), "cali-fh-eth0").join("\n"), /gnp\/x/);
});

test("an address that moves takes its host endpoint along; a name needs no interface", () => {
  const manager = managerOf({ byAddress: expecting("10.0.0.1"), named: { interfaceName: "eth9" } });
  assert.equal(manager.needsAddresses && manager.expects(parseIpAddr("10.0.0.1")), true);
  manager.resolve(addresses({ eth0: ["10.0.0.1"] }));
  const named = "--in-interface eth9 --goto cali-fh-eth9";
  const chains = () => manager.filterChains(context).map(({ name }) => name);
  assert.ok(chains().includes("cali-fh-eth0") && chains().includes("cali-fh-eth9"));
  assert.equal(manager.resolve(addresses({ eth1: ["10.0.0.1"] })).changed, true);
  assert.ok(!chains().includes("cali-fh-eth0") && chains().includes("cali-fh-eth1"));
  manager.resolve(addresses({}));
  assert.deepEqual(targets(manager), [named]);
});

test('"*" is for what has no host endpoint of its own, and not for what goes to pods', () => {
  const manager = managerOf({
    all: { interfaceName: "*", preDnatTiers: [tier], untrackedTiers: [tier] },
    eth0: { interfaceName: "eth0" },
  });
  const { problems } = manager.resolve(new Map());
  assert.deepEqual(problems, [
    {
      endpoint: "all",
      interfaceName: "*",
      reason: "doNotTrack policies do not apply to all interfaces",
    },
  ]);
  const any = "--goto cali-fh-any-interface-at-all";
  assert.deepEqual(targets(manager), ["--in-interface eth0 --goto cali-fh-eth0", any]);
  const mangle = manager.mangleChains(context);
  assert.deepEqual(showChain(mangle, "cali-from-host-endpoint"), [any]);
  assert.deepEqual(showChain(mangle, "cali-to-host-endpoint").slice(1), [
    '-m comment --comment "Skip egress WHEP policy for traffic to local workload" --out-interface cali+ --jump RETURN',
    "--goto cali-th-any-interface-at-all",
  ]);
  const raw = manager.rawChains(context);
  assert.deepEqual(showChain(raw, "cali-from-host-endpoint"), []);
  assert.deepEqual(
    raw.map(({ name }) => name),
    ["cali-from-host-endpoint", "cali-to-host-endpoint"],
  );
  assert.deepEqual([...manager.mangleUses.policies], ["gnp/x"]);
});
