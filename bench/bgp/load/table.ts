import { clientAddressOf } from "./load-clients.ts";
import { refreshRequest } from "./messages.ts";
import type { Scenario } from "./scenario.ts";
import { fullTable, tableSpace } from "./workload.ts";

const rssSettleMs = 3000;

/** The first client has a full table, all others receive it. */
export function table(receivers: number, prefixes: number): Scenario {
  const space = tableSpace(prefixes);
  const everything = (index: number) => (index === 0 ? undefined : prefixes);
  return {
    clients: receivers + 1,
    space,
    ownSlots: () => ({ from: 0, count: 0 }),
    run: async (clients, { measure, wants, timeoutMs, targetRss }) => {
      const { bytes } = fullTable(space, clientAddressOf(0));
      await measure("fill", async () => {
        const start = performance.now();
        const end = clients.reach(everything, timeoutMs);
        clients.sessions[0]?.send(bytes);
        return { ms: (await end) - start };
      });
      if (wants("rss")) {
        await clients.quiet();
        await new Promise((resolve) => setTimeout(resolve, rssSettleMs));
        await measure("rss", async () => ({ mb: targetRss() }));
      }
      if (wants("resync")) {
        await clients.quiet();
        await measure("resync", async () => {
          const asking = clients.sessions.slice(1);
          const start = performance.now();
          for (const { config } of asking) config.counter.clear();
          const end = clients.reach(everything, timeoutMs);
          for (const session of asking) session.send(refreshRequest);
          return { ms: (await end) - start };
        });
      }
    },
  };
}
