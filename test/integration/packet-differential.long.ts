import { test } from "node:test";
import { comparePackets } from "../support/packet-differential.ts";
import { PolicyNodes } from "../support/policy-nodes.ts";

/** As packet-differential.test.ts, 300 clusters, with each defaultEndpointToHostAction. */
for (const action of ["Drop", "Accept", "Return"] as const) {
  test(`real packets meet what the model and the rules say: ${action}`, async (t) => {
    const nodes = new PolicyNodes(action);
    try {
      await nodes.start();
      const { clusters, packets } = await comparePackets(nodes, { clusters: 100, shrink: true });
      t.diagnostic(`${packets} packets in ${clusters} clusters`);
    } finally {
      await nodes.close();
    }
  });
}
