import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { ifbPrefix } from "../../../src/felix/dataplane/token-bucket.ts";
import {
  ipipDevice,
  udpDevice,
  vxlanDevice,
  vxlanDeviceV6,
  workloadInterfacePrefix,
} from "../../../src/kernel/ownership.ts";
import { metricsDocument } from "../../../tools/metrics-doc.ts";
import { exportedMetrics } from "../../support/exported-metrics.ts";

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");

const exported = new Map(
  Object.values(exportedMetrics())
    .flat()
    .map(({ name, type }) => [name, type]),
);

/** Metrics that a PromQL expression asks for. */
function asked(expression: string): string[] {
  return expression.match(/\b(?:felix|bgp|ipam|tortie|process|nodejs)_\w+/g) ?? [];
}

function isExported(name: string): boolean {
  const [, base = ""] = /^(.*)_(?:sum|count)$/.exec(name) ?? [];
  return exported.has(name) || exported.get(base) === "summary";
}

test("docs/metrics.md is what node tools/generate-metrics.ts writes", () => {
  assert.equal(read("docs/metrics.md"), metricsDocument(exportedMetrics()));
});

test("alerts ask for metrics that there are", () => {
  const { groups } = parse(read("deploy/monitoring/alerts.yaml")) as {
    readonly groups: readonly { readonly rules: readonly { readonly expr: string }[] }[];
  };
  const expressions = groups.flatMap(({ rules }) => rules.map(({ expr }) => expr));
  for (const expression of expressions) assert.notDeepEqual(asked(expression), [], expression);
  assert.deepEqual(
    expressions.flatMap(asked).filter((name) => !isExported(name)),
    [],
  );
});

test("the dashboard asks for metrics that there are", () => {
  const { panels } = JSON.parse(read("deploy/monitoring/dashboard.json")) as {
    readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
  };
  const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  for (const expression of expressions) assert.notDeepEqual(asked(expression), [], expression);
  assert.deepEqual(
    expressions.flatMap(asked).filter((name) => !isExported(name)),
    [],
  );
});

test("the drop-ins of deploy/host leave every kind of device of ours alone", () => {
  const devices = [
    ...[`${workloadInterfacePrefix}*`, ipipDevice.replace(/0$/, "*"), `${ifbPrefix}*`],
    ...[vxlanDevice, vxlanDeviceV6, "wireguard.cali", "wg-v6.cali", udpDevice],
  ];
  const files = ["networkmanager-tortie.conf", "05-tortie.network"];
  assert.ok(readdirSync(new URL("../../../deploy/host", import.meta.url)).length === 3);
  for (const file of files) {
    const words = read(`deploy/host/${file}`).split(/[\s;=]+|interface-name:/);
    assert.deepEqual(
      devices.filter((device) => !words.includes(device)),
      [],
      file,
    );
  }
});
