import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parseRequest } from "../../src/bgp/control/protocol.ts";
import { fileKeys } from "../../src/bgp/standalone/fields.ts";
import { readSpeakerFile } from "../../src/bgp/standalone/speaker-file.ts";
import { InputError } from "../../src/lib/errors.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import type { Random } from "./random.ts";

/** Targets for what operators write. */

const documentation = new URL("../../docs/bgp-config.md", import.meta.url);
const utf8 = new TextEncoder();
const text = new TextDecoder();

/** Every YAML file in the documentation, and a key of each section. */
const speakerFiles: readonly string[] = [
  ...readFileSync(documentation, "utf8").matchAll(/^```yaml\n([\s\S]*?)^```$/gm),
].map(([, yaml = ""]) => yaml);

const words: readonly string[] = [
  ...Object.values(fileKeys).flat(),
  ...["0", "-1", "64512", "4294967296", "10.0.0.1", "fd00::1", "10.0.0.0/33", "true", "~", "''"],
  ...["1e3", "0x10", "64512:1", "[]", "{}", "&a", "*a", "!!binary", "<<: *a", "---", "\t", "# x"],
];

/** A file of the documentation in which words were put elsewhere or replaced by others. */
function randomFile(random: Random): Uint8Array {
  let yaml = random.pick(speakerFiles);
  for (let left = 1 + random.below(3); left > 0; left--) {
    const places = [...yaml.matchAll(/[\w.:/-]+/g)];
    const place = places[random.below(places.length)];
    if (place === undefined) break;
    const before = yaml.slice(0, place.index);
    const behind = yaml.slice(place.index + (random.oneIn(4) ? 0 : place[0].length));
    yaml = `${before}${random.pick(words)}${behind}`;
  }
  return utf8.encode(yaml);
}

/** Passwords are read from no real file. */
const files = { folder: "/", read: () => ({ text: "secret", mode: 0o600 }) };

const requests = [
  { request: "peers" },
  { request: "peer", name: "Node_10_0_0_2" },
  { request: "rib", prefix: "10.0.0.0/8", in: "a", out: "b" },
  { request: "why", prefix: "fd00::/8" },
  { request: "why-not", prefix: "10.65.0.0/26", to: "a" },
  { request: "refresh", name: "a", direction: "in" },
  { request: "shutdown", name: "a", message: "back at 5" },
  { request: "start", name: "a" },
  { request: "log", follow: true },
  { request: "dump" },
];

export const textTargets: readonly FuzzTarget[] = [
  {
    name: "speaker-yaml",
    corpus: speakerFiles.map((yaml) => utf8.encode(yaml)),
    maxLength: 4000,
    generate: randomFile,
    run: (input) => {
      const yaml = text.decode(input);
      const result = readSpeakerFile(yaml, files);
      if ("file" in result) return `file ${Object.keys(result.file.config).join()}`;
      const lines = yaml.split(/\r\n|\r|\n/).length;
      assert.ok(result.problems.length > 0, "a file that is refused has a problem");
      for (const { line, what, value = "" } of result.problems) {
        assert.ok(line >= 1 && line <= lines, `line ${line} of ${lines}`);
        assert.ok(what.length > 0 && !/\p{Cc}/u.test(value), "a problem is one line");
      }
      return result.problems.map(({ what }) => what.replaceAll(/\d+|".*"/g, "N")).join();
    },
  },
  {
    name: "control-request",
    corpus: requests.map((request) => utf8.encode(JSON.stringify(request))),
    maxLength: 5000,
    run: (input) => {
      try {
        const request = parseRequest(text.decode(input));
        assert.deepEqual(parseRequest(JSON.stringify(request)), request);
        return request.request;
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        return error.message.replaceAll(/".*"/g, "N");
      }
    },
  },
];
