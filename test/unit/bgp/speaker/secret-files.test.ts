import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readSecrets } from "../../../../src/bgp/speaker/secret-files.ts";

const folder = mkdtempSync(join(tmpdir(), "tortie-secrets-"));
after(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, "bgp"));

function put(key: string, text: string, mode = 0o600): void {
  const path = join(folder, "bgp", key);
  writeFileSync(path, text);
  chmodSync(path, mode);
}

function read(key: string, name = "bgp"): string {
  const reading = readSecrets([{ name, key }], folder).get(`${name}/${key}`);
  assert.ok(reading !== undefined);
  return "secret" in reading ? `secret ${reading.secret.reveal()}` : reading.problem;
}

test("A password is the file's text without its last newline", () => {
  put("plain", "s3cret");
  put("line", "s3cret\n");
  put("spaces", " s3 cret \n\n");
  assert.equal(read("plain"), "secret s3cret");
  assert.equal(read("line"), "secret s3cret");
  assert.equal(read("spaces"), "secret  s3 cret \n");
});

test("A password has 80 octets at most, whatever characters they make", () => {
  put("longest", `${"x".repeat(80)}\n`);
  put("long", "x".repeat(81));
  put("wide", "ß".repeat(41));
  assert.equal(read("longest"), `secret ${"x".repeat(80)}`);
  assert.match(read("long"), /holds more than 80 octets$/);
  assert.match(read("wide"), /holds more than 80 octets$/);
});

for (const mode of [0o640, 0o604, 0o620, 0o602, 0o666]) {
  test(`A file of mode ${mode.toString(8)} is refused`, () => {
    put("open", "s3cret", mode);
    const problem = read("open");
    assert.match(problem, /may be used by others than its owner \(mode 0\d{3}\)$/);
    assert.ok(!problem.includes("s3cret"));
  });
}

test("What is no file with a password is told of", () => {
  put("empty", "\n");
  mkdirSync(join(folder, "bgp", "folder"));
  assert.match(read("empty"), /is empty$/);
  assert.match(read("absent"), /no such file/);
  assert.match(read("folder"), /is no file$/);
});

test("A reference never leaves the folder", () => {
  writeFileSync(join(folder, "outside"), "s3cret", { mode: 0o600 });
  assert.equal(read("../outside"), "the key is no key of a Secret");
  assert.equal(read(".."), "the key is no key of a Secret");
  assert.equal(read("outside", "../bgp"), "the name is no name of a Secret");
  assert.equal(read("outside", "."), "the name is no name of a Secret");
});
