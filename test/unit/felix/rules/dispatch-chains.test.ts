import assert from "node:assert/strict";
import { test } from "node:test";
import { dispatchChains } from "../../../../src/felix/rules/dispatch-chains.ts";
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

test("one pod is found in one step", () => {
  const chains = dispatchChains(["cali0d7763386da"], defaultRulesConfig);
  assert.deepEqual(showChain(chains, "cali-to-wl-dispatch"), [
    "--out-interface cali0d7763386da --goto cali-tw-cali0d7763386da",
    end,
  ]);
});

test("names that share a character share a child chain, which drops as well", () => {
  const names = ["calib2", "calia1", "calib1", "calia1", "calic"];
  const chains = dispatchChains(names, defaultRulesConfig);
  assert.deepEqual(showChain(chains, "cali-from-wl-dispatch"), [
    "--in-interface calia1 --goto cali-fw-calia1",
    "--in-interface calib+ --goto cali-from-wl-dispatch-b",
    "--in-interface calic --goto cali-fw-calic",
    end,
  ]);
  assert.deepEqual(showChain(chains, "cali-from-wl-dispatch-b"), [
    "--in-interface calib1 --goto cali-fw-calib1",
    "--in-interface calib2 --goto cali-fw-calib2",
    end,
  ]);
  assert.deepEqual(dispatchChains(names.toReversed(), defaultRulesConfig), chains);
});

test("a name that is the common prefix is found too", () => {
  const chains = dispatchChains(["cali", "cali1", "cali2"], defaultRulesConfig);
  assert.deepEqual(showChain(chains, "cali-to-wl-dispatch").slice(0, 2), [
    "--out-interface cali --goto cali-tw-cali",
    "--out-interface cali1 --goto cali-tw-cali1",
  ]);
});
