import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { checks } from "../../encapsulation/checks.ts";
import { readCell, wholeColumns, withCells } from "../../encapsulation/document.ts";

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
  assert.equal(withCells(twice, []), twice);
});

test("wholeColumns() leaves out what failed or did not come to its end, and says when the rest was seen", () => {
  const column = (mode: "IPIP" | "VXLAN" | "None", results: readonly string[]) =>
    results.map((result, index) => {
      const check = checks[index]?.title ?? "";
      return { check, mode, ipFamily: "ipv4", result } as const;
    });
  const all = checks.map(() => "yes");
  const seen = "2026-11-21, e4e130c";
  const run = [
    ...column("IPIP", all),
    ...column("VXLAN", ["failed", ...all.slice(1)]),
    ...column("None", all.slice(1)),
  ];
  const written = wholeColumns(run, seen);
  assert.deepEqual(new Set(written.map(({ mode }) => mode)), new Set(["IPIP"]));
  const document = "<!-- cells: begin --><!-- cells: end -->";
  assert.ok(
    withCells(document, written).includes(
      `| last run | not tested | not tested | not tested | ${seen} | not tested |\n`,
    ),
  );
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
