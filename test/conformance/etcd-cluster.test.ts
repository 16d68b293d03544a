import assert from "node:assert/strict";
import { after, test } from "node:test";
import { isDatastoreError } from "../../src/datastore/datastore.ts";
import { openEtcdDatastore } from "../../src/datastore/etcd/etcd-datastore.ts";
import { EtcdCluster } from "../support/etcd-cluster.ts";
import { EtcdServer } from "../support/etcd-server.ts";
import { waitFor } from "../support/wait-for.ts";
import { pool } from "./datastore.suite.ts";
import { FollowedKinds } from "./followed-kinds.ts";

test("etcd: who follows three members hears every change while each dies in turn, the leader first", async () => {
  const cluster = await EtcdCluster.start();
  const config = { endpoints: cluster.endpoints };
  const [writer, reader] = [await openEtcdDatastore(config), await openEtcdDatastore(config)];
  const followed = new FollowedKinds(["IPPool"], reader);
  try {
    await followed.inSync();
    const first = await cluster.leader();
    const others = ["a", "b", "c"].filter((name) => name !== first);
    for (const [index, name] of [first, ...others].entries()) {
      await cluster.kill(name);
      // Until another leads, a write may be refused, or be done and not be answered.
      await waitFor(
        () =>
          writer.create<"IPPool">(pool(`without-${name}`, `10.${index}.0.0/16`)).then(
            () => true,
            (error) => {
              if (isDatastoreError(error, "already-exists")) return true;
              assert.ok(isDatastoreError(error, "unavailable"), String(error));
              return false;
            },
          ),
        { timeoutMs: 60_000, what: "a write" },
      );
      await followed.tells(`without-${name}`, true);
      await cluster.startMember(name);
    }
    assert.deepEqual(followed.withdrawn, []);
    assert.equal((await reader.list("IPPool")).items.length, 3);
  } finally {
    await followed.end();
    await Promise.all([writer.close(), reader.close()]);
    await cluster.remove();
  }
});

test("etcd: a user with a password is let in, and still is after a restart; a wrong password is refused", async () => {
  const server = await EtcdServer.start();
  after(() => server.remove());
  await server.ask("/v3/auth/user/add", { name: "root", password: "secret" });
  await server.ask("/v3/auth/role/add", { name: "root" });
  await server.ask("/v3/auth/user/grant", { user: "root", role: "root" });
  await server.ask("/v3/auth/enable", {});
  const endpoints = [server.endpoint];
  const datastore = await openEtcdDatastore({ endpoints, username: "root", password: "secret" });
  const followed = new FollowedKinds(["IPPool"], datastore);
  const stranger = await openEtcdDatastore({ endpoints, username: "root", password: "wrong-one" });
  try {
    await followed.inSync();
    await assert.rejects(stranger.list("IPPool"), (error) => {
      assert.ok(!String(error).includes("wrong-one"));
      return error instanceof Error;
    });
    await server.stop("SIGKILL");
    await followed.watchFailed();
    await server.start();
    await waitFor(() => datastore.create<"IPPool">(pool("let-in", "10.0.0.0/16")), {
      timeoutMs: 60_000,
    });
    await followed.tells("let-in", true);
  } finally {
    await followed.end();
    await Promise.all([datastore.close(), stranger.close()]);
  }
});
