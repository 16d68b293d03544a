import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { KubeAuth } from "../../../../src/datastore/kubernetes/kube-auth.ts";
import { loginOfFiles, loginOfPod } from "../../../../src/datastore/kubernetes/kubeconfig.ts";
import { FakeClock } from "../../../support/fake-clock.ts";

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "tortie-login-"));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const config = (user: object, cluster: object = {}) =>
  JSON.stringify({
    clusters: [{ name: "c", cluster: { server: "https://10.0.0.1:6443", ...cluster } }],
    users: [{ name: "u", user }],
    contexts: [{ name: "one", context: { cluster: "c", user: "u" } }],
    "current-context": "one",
  });

test("a token file that rotates is read again, and the token in use is sent", () =>
  inFolder(async (folder) => {
    const kubeconfig = join(folder, "config");
    writeFileSync(kubeconfig, config({ tokenFile: "token" }));
    writeFileSync(join(folder, "token"), "first\n");
    const clock = new FakeClock();
    const auth = await KubeAuth.load({ kubeconfig }, clock);
    const sent = async () => (await auth.current()).headers["Authorization"];
    assert.equal(await sent(), "Bearer first");
    writeFileSync(join(folder, "token"), "second\n");
    clock.advance(10_000);
    assert.equal(await sent(), "Bearer second");
  }));

test("a pod is its service account, with the server's address and the token's file", () => {
  const env = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "6443" };
  const { cluster, user } = loginOfPod(env, "/account") ?? {};
  assert.equal(cluster?.server, "https://[fd00::1]:6443");
  assert.equal(cluster?.caFile, "/account/ca.crt");
  assert.deepEqual(user?.authProvider?.config, { tokenFile: "/account/token" });
  assert.equal(loginOfPod({}), undefined);
});

test("KUBECONFIG: of several files the first entry of a name counts; paths are beside their file", () =>
  inFolder(async (folder) => {
    const [first, second] = [join(folder, "first"), join(folder, "below", "second")];
    writeFileSync(first, "users:\n- name: u\n  user: {token: of-the-first}\n");
    mkdirSync(join(folder, "below"));
    const other = config({ token: "of-the-second" }, { "certificate-authority": "ca.crt" });
    writeFileSync(second, other);
    const { cluster, user } = await loginOfFiles(`${first}:${second}`, undefined);
    assert.equal(user?.token, "of-the-first");
    assert.equal(cluster?.caFile, join(folder, "below", "ca.crt"));
    await assert.rejects(loginOfFiles(second, "two"), /there is no context "two"/);
  }));

test("what a user of a kubeconfig has is what a request carries", () =>
  inFolder(async (folder) => {
    const kubeconfig = join(folder, "config");
    const carried = async (user: object, cluster: object = {}) => {
      writeFileSync(kubeconfig, config(user, cluster));
      return await (await KubeAuth.load({ kubeconfig }, new FakeClock())).current();
    };
    const basic = Buffer.from("me:secret").toString("base64");
    const { headers } = await carried({ username: "me", password: "secret", as: "you" });
    assert.deepEqual(headers, { Authorization: `Basic ${basic}`, "Impersonate-User": "you" });
    const data = Buffer.from("PEM").toString("base64");
    const { tls } = await carried(
      { "client-certificate-data": data, "client-key-data": data },
      { "certificate-authority-data": data, "tls-server-name": "api" },
    );
    const pem = Buffer.from("PEM");
    assert.deepEqual(tls, { ca: pem, cert: pem, key: pem, servername: "api" });
    const insecure = await carried({}, { "insecure-skip-tls-verify": true });
    assert.deepEqual(insecure.tls, { rejectUnauthorized: false });
    const status = { token: "of-a-helper" };
    const exec = { command: "echo", args: [JSON.stringify({ status })] };
    assert.deepEqual((await carried({ exec })).headers, { Authorization: "Bearer of-a-helper" });
    await assert.rejects(carried({}, { "proxy-url": "http://p" }), /proxy-url "http:\/\/p"/);
  }));
