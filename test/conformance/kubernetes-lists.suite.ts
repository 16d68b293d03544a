import assert from "node:assert/strict";
import { test } from "node:test";
import type { ApiGroup } from "../../src/datastore/kubernetes/collections.ts";
import { compareText } from "../../src/lib/collections.ts";
import type { KubeApiServer } from "../support/kube-apiserver.ts";
import { pool } from "./datastore.suite.ts";
import { openPatiently } from "./kubernetes-server.ts";

/** @param way what the server can do: its etcd must be new enough for lists that are watches */
export function kubernetesLists(
  server: KubeApiServer,
  apiGroup: ApiGroup,
  way: "watch" | "pages",
): void {
  test(`kubernetes: who follows is told of all, by ${way}, and then of changes`, async () => {
    const datastore = await openPatiently(server, apiGroup);
    for (const name of ["first", "second"]) {
      await datastore.create<"IPPool">(pool(`listed-${name}`, "10.25.0.0/16"));
    }
    const pages = await datastore.list("IPPool");
    const before = await listsOfPools(server);
    assert.ok(datastore.follow !== undefined);
    const stop = new AbortController();
    const { resources, revision, changes } = await datastore.follow(["IPPool"], stop.signal);
    assert.deepEqual(
      resources.toSorted((a, b) => compareText(a.metadata.name, b.metadata.name)),
      pages.items,
    );
    assert.ok(BigInt(revision) >= BigInt(pages.revision));
    assert.equal((await listsOfPools(server)) - before, way === "watch" ? 0 : 1);
    const gone = new Set(pages.items.map(({ metadata }) => metadata.name));
    for (const name of gone) await datastore.delete<"IPPool">({ kind: "IPPool", name });
    for await (const event of changes) {
      if (event.kind === "deleted") gone.delete(event.key.name);
      if (gone.size === 0) break;
    }
    stop.abort();
    await datastore.close();
  });
}

/** Lists of pools that the server has answered. */
async function listsOfPools(server: KubeApiServer): Promise<number> {
  const { text } = await server.request("GET", "/metrics");
  return text
    .split("\n")
    .filter((line) => /^apiserver_request_total\{.*resource="ippools".*verb="LIST"/.test(line))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}
