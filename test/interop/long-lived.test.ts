import { describe, test } from "node:test";
import { bird } from "../support/daemons/bird.ts";
import { frr } from "../support/daemons/frr.ts";
import { cannotMakeNetns } from "../support/netns.ts";
import { Lab } from "./lab.ts";
import { weRestartTwice } from "./rows/restart.ts";

describe("long-lived graceful restart (RFC 9494)", { skip: cannotMakeNetns() }, () => {
  for (const daemon of [bird, frr]) {
    test(`two restarts of ours lose no packet towards ${daemon.name}`, async (t) => {
      const lab = await Lab.make(daemon, `ll${daemon.name.slice(0, 2)}`.toLowerCase());
      try {
        await weRestartTwice(lab);
      } catch (error) {
        t.diagnostic(lab.log);
        throw error;
      } finally {
        await lab.remove();
      }
    });
  }
});
