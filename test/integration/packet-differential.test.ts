import { after, before, test } from "node:test";
import { comparePackets } from "../support/packet-differential.ts";
import { PolicyNodes } from "../support/policy-nodes.ts";

/**
 * The third opinion of unit/policy/differential.test.ts: random clusters, programmed by felix into two
 * nodes, one of each iptables backend, and packets of both families. More in the .long.ts.
 */

const nodes = new PolicyNodes("Return");
before(() => nodes.start());
after(() => nodes.close());

test("real packets in random clusters meet what the model and the rules say", async (t) => {
  const { clusters, packets } = await comparePackets(nodes, { clusters: 6 });
  t.diagnostic(`${packets} packets in ${clusters} clusters`);
});
