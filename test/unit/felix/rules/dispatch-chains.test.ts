import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DispatchChains,
  dispatchChains,
  fromHostDispatch,
} from "../../../../src/felix/rules/dispatch-chains.ts";
import { defaultRulesConfig } from "../../../../src/felix/rules/rules-config.ts";
import { show, showChain } from "./show-chains.ts";

const end = '-m comment --comment "Unknown interface" --jump DROP';

test("no pods: all that comes from or goes to a pod's interface is dropped", () => {
  const chains = dispatchChains([], defaultRulesConfig);
  assert.deepEqual(
    chains.map(({ name, rules }) => [name, show(rules)]),
    [
      ["cali-from-wl-dispatch", [end]],
      ["cali-to-wl-dispatch", [end]],
    ],
  );
});

test("a new pod needs nothing but more rules and more chains", () => {
  const names = ["cali0d7763386da", "cali0a", "cali0e", "calif1", "cali", "cali00"];
  names.forEach((_, count) => {
    const before = dispatchChains(names.slice(0, count), defaultRulesConfig);
    const after = dispatchChains(names.slice(0, count + 1), defaultRulesConfig);
    for (const { name, rules } of before) {
      const left = new Set(showChain(after, name));
      const kept = show(rules);
      assert.deepEqual(
        [...left].filter((rule) => kept.includes(rule)),
        kept,
        `${name} with ${names[count]}`,
      );
    }
    assert.ok(after.every(({ separate }) => separate));
  });
});

test("names that share a character share a child chain, which drops as well", () => {
  const names = ["calib2", "calia1", "calib1", "calia1", "calic"];
  const chains = dispatchChains(names, defaultRulesConfig);
  assert.deepEqual(showChain(chains, "cali-from-wl-dispatch"), [
    "--in-interface calia+ --goto cali-from-wl-dispatch-a",
    "--in-interface calib+ --goto cali-from-wl-dispatch-b",
    "--in-interface calic+ --goto cali-from-wl-dispatch-c",
    end,
  ]);
  assert.deepEqual(showChain(chains, "cali-from-wl-dispatch-b"), [
    "--in-interface calib1 --goto cali-fw-calib1",
    "--in-interface calib2 --goto cali-fw-calib2",
    end,
  ]);
  assert.deepEqual(dispatchChains(names.toReversed(), defaultRulesConfig), chains);
});

test("a name that is the configured prefix is found too", () => {
  const chains = dispatchChains(["cali", "cali1", "cali2"], defaultRulesConfig);
  assert.deepEqual(showChain(chains, "cali-to-wl-dispatch").slice(0, 2), [
    "--out-interface cali --goto cali-tw-cali",
    "--out-interface cali1+ --goto cali-to-wl-dispatch-1",
  ]);
});

test("names of several prefixes are told apart behind what all of them share", () => {
  const config = { ...defaultRulesConfig, workloadInterfacePrefixes: ["cali", "tap"] };
  const chains = dispatchChains(["cali1", "tap1", "tap2"], config);
  assert.deepEqual(showChain(chains, "cali-to-wl-dispatch").slice(0, 2), [
    "--out-interface c+ --goto cali-to-wl-dispatch-c",
    "--out-interface t+ --goto cali-to-wl-dispatch-t",
  ]);
});

test("a chain that leads to the same pods as before is the same object", () => {
  const dispatch = new DispatchChains();
  const objects = (names: readonly string[], config = defaultRulesConfig) =>
    new Map(dispatch.of(names, config).map((chain) => [chain.name, chain]));
  const before = objects(["calia1", "calib1"]);
  const after = objects(["calia1", "calib1", "calib2"]);
  const kept = [...after.keys()].filter((name) => after.get(name) === before.get(name));
  assert.deepEqual(kept, [
    "cali-from-wl-dispatch-a",
    "cali-from-wl-dispatch",
    "cali-to-wl-dispatch-a",
    "cali-to-wl-dispatch",
  ]);
  const moved = objects(["calia2", "calib1", "calib2"]);
  assert.notEqual(moved.get("cali-from-wl-dispatch-a"), after.get("cali-from-wl-dispatch-a"));
  const others = objects(["calia2", "calib1", "calib2"], { ...defaultRulesConfig });
  assert.ok([...others].every(([name, chain]) => chain !== moved.get(name)));
});

test("host endpoints are found as Calico finds them", () => {
  const chains = fromHostDispatch({ names: ["eth0", "eth1", "wg0"], all: false });
  assert.deepEqual(showChain(chains, "cali-from-host-endpoint"), [
    "--in-interface e+ --goto cali-from-host-endpoint-e",
    "--in-interface wg0 --goto cali-fh-wg0",
  ]);
  assert.ok(chains.every(({ separate }) => separate === undefined));
});
