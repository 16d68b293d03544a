import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { builtPlugin, parts } from "../../../tools/build-cni-plugin.ts";

const source = fileURLToPath(new URL("../../../src/cni/plugin.ts", import.meta.url));

test("bin/tortie-cni looks at the age of each file that the plugin is made of", () => {
  const script = readFileSync(new URL("../../../bin/tortie-cni", import.meta.url), "utf8");
  const names = /^for part in (.*); do$/m.exec(script)?.[1]?.split(" ");
  assert.deepEqual(
    names?.map((name) => `${name}.ts`),
    parts,
  );
});

test("the plugin of one file says what that of the sources says", () => {
  const folder = mkdtempSync(join(tmpdir(), "tortie-plugin-"));
  try {
    const built = join(folder, "plugin.cjs");
    writeFileSync(built, builtPlugin());
    const socket = join(folder, "no-agent.sock");
    for (const command of ["VERSION", "ADD"]) {
      const [ofSource, ofBuilt] = [source, built].map((file) => {
        const env = { CNI_COMMAND: command, CNI_CONTAINERID: "c1", TORTIE_CNI_SOCKET: socket };
        const { status, stdout, stderr } = spawnSync(process.execPath, [file, "calico"], {
          env,
          input: "{}",
          encoding: "utf8",
        });
        assert.equal(stderr, "");
        return { status, stdout };
      });
      assert.deepEqual(ofBuilt, ofSource);
      assert.match(ofBuilt?.stdout ?? "", command === "ADD" ? /Cannot reach/ : /supportedVersions/);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
