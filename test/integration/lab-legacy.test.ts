import assert from "node:assert/strict";
import { test } from "node:test";
import { TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

/** The legacy backend says nothing when it changes: felix looks by itself. */
test("a legacy chain that somebody flushes is repaired within 10 s, without a restart", async () => {
  const lab = new TestLab("l", { FELIX_IPTABLESBACKEND: "legacy" });
  try {
    await lab.mustLab("up", "--nodes", "1", "--pods", "2");
    const { netns, pids } = (await lab.status()).nodes[0] ?? assert.fail("no node");
    const rules = () => lab.inside(netns, "iptables-legacy", "-S", "cali-FORWARD");
    assert.match(await rules(), /-A cali-FORWARD/);
    await lab.inside(netns, "iptables-legacy", "-F", "cali-FORWARD");
    await waitFor(async () => (await rules()).includes("-A cali-FORWARD"), {
      timeoutMs: 10_000,
      what: "the chain",
    });
    assert.deepEqual((await lab.status()).nodes[0]?.pids, pids);
    assert.deepEqual((await lab.check()).mismatches, []);
  } finally {
    await lab.down();
  }
});
