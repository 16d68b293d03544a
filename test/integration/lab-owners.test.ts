import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Background, TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

/** felix and bgp own routes side by side (ADR 6): neither may touch the other's. */
test("both owners compare their routes with the kernel ten times: no route event", async () => {
  const lab = new TestLab("o", {
    FELIX_ROUTEREFRESHINTERVAL: "1",
    FELIX_LOGSEVERITYSCREEN: "Debug",
  });
  try {
    await lab.mustLab(
      ...["up", "--encapsulation", "None", "--segments", "1", "--nodes", "2", "--pods", "1"],
    );
    const { netns, name } = (await lab.status()).nodes[0] ?? assert.fail("no node");
    const log = join(lab.folder, lab.name, "nodes", name, "node.log");
    const count = (words: string) => readFileSync(log, "utf8").split(words).length;
    const counts = () => [count("Routes compared with the kernel"), count("dataplane compared")];
    const before = counts();
    const events = new Background(netns, "ip", "-4", "monitor", "route");
    await waitFor(() => counts().every((now, index) => now - (before[index] ?? 0) >= 10), {
      timeoutMs: 30_000,
      what: "ten rounds of both",
    });
    await events.stop();
    assert.equal(events.printed, "");
  } finally {
    await lab.down();
  }
});
