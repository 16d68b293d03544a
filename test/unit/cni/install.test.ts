import assert from "node:assert/strict";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { installCni, removeCni } from "../../../src/cni/install/install.ts";
import { installConfig } from "../../../src/cni/install/install-config.ts";
import { createLogger } from "../../../src/lib/log.ts";

const root = mkdtempSync(join(tmpdir(), "tt-install-"));
after(() => rmSync(root, { recursive: true }));

const log = createLogger({ name: "install", level: "silent" });
const shim = join(root, "shim");
writeFileSync(shim, "ELF TORTIE-CNI/1\n and so on");
const others = join(root, "image");
mkdirSync(others);
writeFileSync(join(others, "portmap"), "portmap of the image");
symlinkSync(shim, join(others, "install"));
const programs = { shim, script: "/checkout/bin/tortie-cni", others };

/** A host with its two folders. */
function host(env: Readonly<Record<string, string>> = {}, sources = programs) {
  const folder = mkdtempSync(join(root, "host-"));
  const [netFolder, binFolder] = [join(folder, "net.d"), join(folder, "bin")];
  const config = (more: Readonly<Record<string, string>> = {}) =>
    installConfig({ ...env, ...more }, "node1", { netFolder, binFolder });
  const net = (name = "10-calico.conflist") => join(netFolder, name);
  return {
    net,
    bin: (name: string) => join(binFolder, name),
    conflist: () => JSON.parse(readFileSync(net(), "utf8")),
    install: (more?: Readonly<Record<string, string>>) => installCni(config(more), sources, log),
    remove: () => removeCni(config(), log),
    files: () => [...readdirSync(netFolder), ...readdirSync(binFolder)].sort(),
  };
}

/** As upstream's manifest has it. */
const upstream = `{
  "name": "k8s-pod-network", "cniVersion": "0.3.1",
  "plugins": [
    {"type": "calico", "log_level": "info", "log_file_path": "__LOG_FILE_PATH__",
     "datastore_type": "kubernetes", "nodename": "__KUBERNETES_NODE_NAME__", "mtu": __CNI_MTU__,
     "ipam": {"type": "calico-ipam"},
     "policy": {"type": "k8s", "k8s_auth_token": "secret"},
     "kubernetes": {"kubeconfig": "__KUBECONFIG_FILEPATH__"}},
    {"type": "portmap", "snat": true, "capabilities": {"portMappings": true}},
    {"type": "bandwidth", "capabilities": {"bandwidth": true}}
  ]
}`;

test("installCni() writes plugins and configuration, readable by root alone, and nothing else", () => {
  const here = host();
  here.install();
  assert.deepEqual(here.files(), ["10-calico.conflist", "calico", "calico-ipam", "portmap"]);
  assert.equal(statSync(here.net()).mode & 0o777, 0o600);
  assert.equal(statSync(here.bin("calico")).mode & 0o777, 0o755);
  assert.equal(readFileSync(here.bin("calico-ipam"), "utf8"), readFileSync(shim, "utf8"));
  const { plugins } = here.conflist();
  assert.deepEqual(
    [plugins[0].type, plugins[0].nodename, plugins[1].type],
    ["calico", "node1", "portmap"],
  );
  assert.equal(plugins[0].policy, undefined);
});

test("installCni() leaves the profiles of pods to Kubernetes where that is", () => {
  const here = host({ KUBERNETES_SERVICE_HOST: "10.96.0.1" });
  here.install();
  assert.deepEqual(here.conflist().plugins[0].policy, { type: "k8s" });
});

test("installCni() fills upstream's template in, and leaves no credentials", () => {
  const here = host({ CNI_NETWORK_CONFIG: upstream, CNI_MTU: "1410" });
  mkdirSync(join(here.net(), ".."), { recursive: true });
  writeFileSync(here.net("calico-kubeconfig"), "token: secret");
  writeFileSync(here.net("10-calico.conf"), "{}");
  here.install({ KUBERNETES_NODE_NAME: 'no"de', CNI_OLD_CONF_NAME: "10-calico.conf" });
  const [calico, ...rest] = here.conflist().plugins;
  assert.equal(calico.nodename, 'no"de');
  assert.equal(calico.mtu, 1410);
  assert.deepEqual(calico.policy, { type: "k8s" });
  assert.equal(calico.kubernetes, undefined);
  assert.equal(rest.length, 2);
  assert.doesNotMatch(readFileSync(here.net(), "utf8"), /secret|__/);
  assert.equal(existsSync(here.net("calico-kubeconfig")), false);
  assert.equal(existsSync(here.net("10-calico.conf")), false);
});

test("installCni() keeps what others have put into the chain, and drops what was ours", () => {
  const here = host({ CNI_NETWORK_CONFIG: upstream });
  here.install();
  const list = here.conflist();
  const mesh = { type: "istio-cni", log_level: "debug" };
  writeFileSync(here.net(), JSON.stringify({ ...list, plugins: [...list.plugins, mesh, null] }));
  here.install({
    CNI_NETWORK_CONFIG: '{"name": "n", "cniVersion": "1.0.0", "type": "calico", "policy": null}',
  });
  const { name, plugins } = here.conflist();
  assert.deepEqual([name, plugins], ["n", [{ type: "calico" }, mesh]]);
  here.install({ CNI_NETWORK_CONFIG: '{"name": "n", "cniVersion": "1.0.0", "type": "calico"}' });
  assert.deepEqual(here.conflist().plugins, plugins);
});

test("installCni() again leaves whoever has a file open with the whole old one", () => {
  const here = host();
  here.install();
  const names = [here.bin("calico"), here.bin("portmap"), here.net()];
  for (const name of names) writeFileSync(name, `{"old": "${name}"}`);
  const open = names.map((name) => openSync(name, "r"));
  here.install();
  for (const [at, name] of names.entries()) {
    assert.equal(readFileSync(open[at] ?? -1, "utf8"), `{"old": "${name}"}`);
    assert.doesNotMatch(readFileSync(name, "utf8"), /"old"/);
    closeSync(open[at] ?? -1);
  }
});

test("installCni() refuses a template before it writes anything", () => {
  for (const [template, words] of [
    ['{"name": "__WHO_KNOWS__"}', /__WHO_KNOWS__ is not known/],
    ["{", /no JSON object/],
    ['{"name": "n", "plugins": [{}]}', /must have a type/],
    ['{"name": "n", "plugins": [{"type": "calico"}, null]}', /must have a type/],
    ['{"name": "n", "type": "calico", "policy": "k8s"}', /policy must be an object, got "k8s"/],
  ] as const) {
    const here = host({ CNI_NETWORK_CONFIG: template });
    assert.throws(() => here.install(), words);
    assert.equal(existsSync(here.bin("calico")), false);
  }
  assert.throws(() => host({ CNI_CONF_NAME: "../x" }).install(), /CNI_CONF_NAME/);
  const file = join(root, "no-such-file");
  assert.throws(() => host({ CNI_NETWORK_CONFIG_FILE: file }).install(), /no-such-file/);
});

test("SKIP_CNI_BINARIES and UPDATE_CNI_BINARIES say which programs are left alone", () => {
  const here = host({ SKIP_CNI_BINARIES: "portmap,bandwidth" });
  here.install();
  assert.equal(existsSync(here.bin("portmap")), false);
  writeFileSync(here.bin("calico"), "another's");
  here.install({ UPDATE_CNI_BINARIES: "false" });
  assert.equal(readFileSync(here.bin("calico"), "utf8"), "another's");
  here.install();
  assert.match(readFileSync(here.bin("calico"), "utf8"), /TORTIE-CNI/);
});

test("removeCni() takes ours away, and nothing of anybody else", () => {
  const here = host();
  here.install();
  writeFileSync(here.bin("calico-ipam"), "upstream's");
  writeFileSync(here.net("99-loopback.conf"), "{}");
  here.remove();
  assert.deepEqual(here.files(), ["99-loopback.conf", "calico-ipam", "portmap"]);
  writeFileSync(here.net(), upstream);
  here.remove();
  assert.ok(existsSync(here.net()));
});

test("without the shim the plugins are links to the checkout's script", () => {
  const here = host({}, { ...programs, shim: join(root, "none") });
  here.install();
  assert.equal(readlinkSync(here.bin("calico-ipam")), programs.script);
  here.remove();
  assert.deepEqual(here.files(), ["portmap"]);
});
