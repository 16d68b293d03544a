import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { soakServers } from "../soak/servers.ts";
import { soak } from "../soak/soak.ts";
import { findKubeApiServer } from "../support/kube-apiserver/program.ts";

/** The hour of `npm run soak`, short: enough restarts for each way in which a watch goes on. */
const restarts: Readonly<Record<string, number>> = { embedded: 4, etcd: 4, kubernetes: 2 };

describe("a watch while its server is killed", { concurrency: true }, () => {
  for (const [driver, start] of Object.entries(soakServers)) {
    const found = findKubeApiServer();
    const skip = driver === "kubernetes" && "missing" in found ? found.missing : false;
    test(`${driver}: loses nothing, and tells nothing false`, { skip }, async () => {
      const server = await start();
      try {
        const { counts } = await soak(server, {
          goOn: (done) => done < (restarts[driver] ?? 0),
          everyMs: 0,
          writes: 25,
          pauseMs: 2,
          downMs: 300,
          say: () => undefined,
        });
        assert.ok(counts.deletes > 0, JSON.stringify(counts));
      } finally {
        await server.remove();
      }
    });
  }
});
