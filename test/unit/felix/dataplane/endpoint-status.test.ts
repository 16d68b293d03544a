import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { LocalEndpoint } from "../../../../src/felix/calc/updates.ts";
import { EndpointStatusFiles } from "../../../../src/felix/dataplane/endpoint-status.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";

const endpoint = (interfaceName: string, address: string): LocalEndpoint => ({
  interfaceName,
  addresses: [parseIpAddr(address)],
  tiers: [],
  profiles: [],
  allowedSourcePrefixes: [],
  floating: [],
});
const [a, b] = ["prod/node--a-k8s-web--0-eth0", "prod/node--a-k8s-web--1-eth0"];

test("each endpoint has its file, as it is now, and loses it when it goes", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "endpoint-status-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const files = new EndpointStatusFiles(folder);
  const [calia, calib] = [endpoint("calia", "10.0.0.1"), endpoint("calib", "10.0.0.2")];
  const shown = () =>
    readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), "utf8"))
      .map((text) => /10\.0\.0\.\d+/.exec(text)?.[0])
      .sort();
  files.apply(
    new Map([
      [a, calia],
      [b, calib],
    ]),
  );
  assert.deepEqual(shown(), ["10.0.0.1", "10.0.0.2"]);
  files.apply(
    new Map([
      [a, endpoint("calia", "10.0.0.9")],
      [b, calib],
    ]),
  );
  assert.deepEqual(shown(), ["10.0.0.2", "10.0.0.9"]);
  files.apply(new Map([[b, calib]]));
  assert.deepEqual(shown(), ["10.0.0.2"]);
});
