import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type Datastore, isDatastoreError } from "../../src/datastore/datastore.ts";
import { openDatastore } from "../../src/datastore/open-datastore.ts";
import { makeAuthority, makeCertificate } from "../support/certificates.ts";
import { EtcdServer, type TlsPaths } from "../support/etcd-server.ts";
import { pool } from "./datastore.suite.ts";
import { FollowedKinds } from "./followed-kinds.ts";

const folder = mkdtempSync(join(tmpdir(), "tortie-tls-"));
const authority = makeAuthority(folder, "authority");
const stranger = makeAuthority(folder, "stranger");
const own = makeCertificate(folder, "own", authority);
const server = await EtcdServer.start({ tls: makeCertificate(folder, "server", authority) });
after(async () => {
  await server.remove();
  rmSync(folder, { recursive: true });
});

function openWith({ ca, certificate, key }: Partial<TlsPaths>): Promise<Datastore> {
  return openDatastore({
    DATASTORE_TYPE: "etcdv3",
    ETCD_ENDPOINTS: server.tlsEndpoint,
    ...(ca === undefined ? {} : { ETCD_CA_CERT_FILE: ca }),
    ...(certificate === undefined ? {} : { ETCD_CERT_FILE: certificate }),
    ...(key === undefined ? {} : { ETCD_KEY_FILE: key }),
  });
}

test("etcd: who has a certificate of the authority reads, writes and follows over TLS, past a restart too", async () => {
  const datastore = await openWith(own);
  const followed = new FollowedKinds(["IPPool"], datastore);
  try {
    await followed.inSync();
    await datastore.create<"IPPool">(pool("secret", "10.60.0.0/16"));
    await followed.tells("secret", true);
    await server.stop("SIGKILL");
    await followed.watchFailed();
    await server.start();
    const later = await openWith(own);
    await later.create<"IPPool">(pool("later", "10.61.0.0/16"));
    await later.close();
    await followed.tells("later", true);
    assert.deepEqual(followed.withdrawn, []);
  } finally {
    await followed.end();
    await datastore.close();
  }
});

for (const [what, files] of [
  ["who shows no certificate", { ca: authority }],
  [
    "who shows one of another authority",
    { ...makeCertificate(folder, "other", stranger), ca: authority },
  ],
  ["a server of an authority that we do not trust", { ...own, ca: stranger }],
] as const) {
  test(`etcd: ${what} is refused, and nothing is read`, async () => {
    const datastore = await openWith(files);
    await assert.rejects(datastore.list("IPPool"), (error) =>
      isDatastoreError(error, "unavailable"),
    );
    await datastore.close();
  });
}
