import assert from "node:assert/strict";
import { test } from "node:test";
import type { LocalEndpoint } from "../../../../src/felix/calc/updates.ts";
import { egressDscpChain } from "../../../../src/felix/rules/dscp-chain.ts";
import { show } from "./show-chains.ts";

const endpoint = (addresses: readonly string[], dscp?: number): LocalEndpoint => ({
  interfaceName: "calia",
  addresses: addresses as never,
  tiers: [],
  profiles: [],
  allowedSourcePrefixes: [],
  floating: [],
  qos: { ingress: {}, egress: {}, ...(dscp === undefined ? {} : { dscp }) },
});

test("egressDscpChain() has a rule for each address of its family that asks for a code point", () => {
  const endpoints = [
    endpoint(["10.0.0.2", "fd00::2"], 46),
    endpoint(["10.0.0.1"], 0),
    endpoint(["10.0.0.3"]),
  ];
  const { name, rules } = egressDscpChain(endpoints, 4);
  assert.equal(name, "cali-egress-dscp");
  assert.deepEqual(show(rules), [
    "--source 10.0.0.1 --jump DSCP --set-dscp 0x0",
    "--source 10.0.0.2 --jump DSCP --set-dscp 0x2e",
  ]);
  assert.deepEqual(show(egressDscpChain(endpoints, 6).rules), [
    "--source fd00::2 --jump DSCP --set-dscp 0x2e",
  ]);
});
