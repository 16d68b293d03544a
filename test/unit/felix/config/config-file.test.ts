import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { localSources, parseConfigFile } from "../../../../src/felix/config/config-file.ts";
import { felixConfig } from "../../../../src/felix/config/felix-config.ts";
import { InputError } from "../../../../src/lib/errors.ts";

test("the configuration file is stronger than the datastore, and weaker than the environment", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tortie-cfg-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "felix.cfg");
  const text = `[global]
MetadataAddr = None
  VXLANPort = 4790
# comment
vxlanvni=7
VxlanMtu =
XDPEnabled: true
`;
  writeFileSync(path, text);
  const env = { TORTIE_FELIX_CFG: path, FELIX_VXLANVNI: "8" };
  const config = felixConfig({
    node: { vxlanPort: 1, vxlanVNI: 1, vxlanMTU: 1400 },
    ...localSources(env),
  });
  assert.equal(config.vxlanPort, 4790);
  assert.equal(config.vxlanVni, 8);
  assert.equal(config.vxlanMtu[4], 1400);
  assert.deepEqual(config.ignored, ["MetadataAddr", "XDPEnabled"]);
});

test("localSources() without a file has the environment alone", () => {
  const env = { TORTIE_FELIX_CFG: "/nowhere/felix.cfg" };
  assert.deepEqual(localSources(env), { env });
});

test("localSources() refuses a file that cannot be read, and names it", () => {
  assert.throws(() => localSources({ TORTIE_FELIX_CFG: "/" }), InputError);
  assert.throws(
    () => parseConfigFile("[global]\nVXLANPort 1\n", "felix.cfg"),
    /felix\.cfg: line 2/,
  );
});
