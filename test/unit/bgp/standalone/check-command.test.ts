import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const program = fileURLToPath(new URL("../../../../src/main.ts", import.meta.url));

describe("tortie bgp --check", () => {
  const folder = mkdtempSync(join(tmpdir(), "tt-check-"));
  after(() => rmSync(folder, { recursive: true }));

  test("names each mistake in a line with line and field, and ends with 1", async () => {
    const file = join(folder, "bad.yaml");
    writeFileSync(join(folder, "key"), "secret\n", { mode: 0o640 });
    writeFileSync(
      file,
      `asn: 4294967296
routerId: 10.0.0.1
frobnicate: 1
originate: [{prefix: 10.0.0.1/24}]
neighbors:
  - {address: 10.0.0.2, asn: 1, password: {file: none}}
  - {address: 10.0.0.2, asn: 1, password: {file: key}}
`,
    );
    const failed = await run(process.execPath, [program, "bgp", "--config", file, "--check"]).then(
      () => assert.fail("it must not end well"),
      (error: { readonly code: number; readonly stdout: string; readonly stderr: string }) => error,
    );
    assert.deepEqual([failed.code, failed.stderr], [1, ""]);
    assert.deepEqual(
      failed.stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.replace(file, "bad.yaml")),
      [
        "bad.yaml:1: asn: must be an AS number: 1 to 4294967294, or as in 1.10 (4294967296)",
        "bad.yaml:3: frobnicate: unknown key (frobnicate)",
        "bad.yaml:4: originate[0].prefix: host bits are set, did you mean 10.0.0.0/24 (10.0.0.1/24)",
        "bad.yaml:6: neighbors[0].password.file: cannot be read: ENOENT: no such file or directory (none)",
        "bad.yaml:7: neighbors[1].address: overlaps neighbors[0] on line 6, which has the same address and port (10.0.0.2)",
        "bad.yaml:7: neighbors[1].password.file: may be read or written by others than its owner (mode 0640) (key)",
      ],
    );
  });

  test("a file that cannot be read is a mistake, too", async () => {
    const missing = join(folder, "missing.yaml");
    await assert.rejects(
      run(process.execPath, [program, "bgp", "--config", missing, "--check"]),
      ({ code, stdout }: { readonly code: number; readonly stdout: string }) =>
        code === 1 && /missing\.yaml:1: cannot be read: ENOENT/.test(stdout),
    );
  });
});
