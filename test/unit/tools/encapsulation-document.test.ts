import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { checks } from "../../encapsulation/checks.ts";
import { readCell, withCells, withLastRun } from "../../encapsulation/document.ts";

const written = readFileSync(new URL("../../../docs/encapsulation.md", import.meta.url), "utf8");

test("withCells() changes the cells of a run and keeps the others", () => {
  const [first, second] = checks.map(({ title }) => title);
  const cell = (check = "", result: string) =>
    ({ check, mode: "VXLAN", ipFamily: "ipv6", result }) as const;
  const empty = "before\n<!-- cells: begin -->\n<!-- cells: end -->\nafter\n";
  const once = withCells(empty, [cell(first, "yes"), cell(second, "there is no tunnel")]);
  assert.match(once, /^before\n/);
  assert.match(once, /\nafter\n$/);
  const twice = withCells(once, [cell(second, "yes")]);
  const [, ipv6 = ""] = twice.split("| IPv6 alone |");
  const ipip = "not offered: IPIP is IPv4's";
  const row = (title = "", result: string) =>
    `| ${title} | not tested | ${result} | not tested | ${ipip} | ${ipip} |\n`;
  assert.ok(ipv6.includes(row(first, "yes")));
  assert.ok(ipv6.includes(row(second, "yes")));
  const seen = withCells(twice, withLastRun([cell(first, "yes")], "2026-11-21, e4e130c"));
  assert.ok(seen.includes(row("last run", "2026-11-21, e4e130c")));
  assert.ok(seen.includes(row(second, "yes")));
  assert.equal(withCells(twice, []), twice);
});

test("docs/encapsulation.md has the rows that are tested, and no failed cell", () => {
  assert.equal(withCells(written, []), written);
  assert.doesNotMatch(written, /\| failed/);
});

test("readCell() reads a line of the tests' output, and no other", () => {
  const cell = { check: "a", mode: "None", ipFamily: "ipv4", result: "yes" };
  assert.deepEqual(readCell(`ENCAPSULATION ${JSON.stringify(cell)}`), cell);
  assert.equal(readCell("14 passed, 0 failed"), undefined);
});
