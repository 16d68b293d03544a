import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LoadLine } from "../../../bench/bgp/load/main.ts";
import { jsonText, tables } from "../../../bench/bgp/report.ts";
import { cellKey, type Results } from "../../../bench/bgp/results.ts";
import { type Row, rows } from "../../../bench/bgp/rows.ts";
import { bestOf, cellOf, verdictOf, worstOf } from "../../../bench/bgp/verdict.ts";

type Values = Omit<LoadLine, "row">;

const rowOf = (id: string): Row => rows.find((row) => row.id === id) as Row;
const reflect = rowOf("reflect-200");
const newRoute = rowOf("new-route-200");
const withdraw = rowOf("withdraw-500");

const daemons = { "FRR-10": "FRR", "FRR-0": "FRR" } as const;
const targets = ["floor", "BIRD", "FRR", "FRR-10", "FRR-0", "GoBGP", "tortie"].map((name) => ({
  name,
  daemon: (daemons as Readonly<Record<string, string>>)[name] ?? name,
  version: "1.0",
}));

/** Three runs of one row, of the targets that are given. */
function resultsOf(
  row: Row,
  lines: Readonly<Record<string, readonly Values[]>>,
  cores = 4,
): Results {
  const machine = {
    cores,
    processor: "a processor",
    kernel: "Linux 6",
    load: 0.5,
    at: "2026-01-02",
  };
  const entries = Object.entries(lines).map(
    ([target, values]) =>
      [cellKey(row.id, target), values.map((value) => ({ row: row.id, ...value }))] as const,
  );
  const lineMap = new Map(entries);
  return { rows: [row], targets, runs: 3, tablePrefixes: 1_000_000, machine, lines: lineMap };
}

const ms = (...values: readonly number[]) => values.map((value) => ({ ms: value }));

describe("cellOf()", () => {
  test("gives the median of the runs", () => {
    assert.deepEqual(cellOf(resultsOf(reflect, { BIRD: ms(3, 100, 2) }), reflect, "BIRD"), {
      values: [3],
      runs: 3,
    });
  });

  test("gives medians of p50 and p99 apart", () => {
    const lines = [
      { p50: 1, p99: 9 },
      { p50: 3, p99: 7 },
      { p50: 2, p99: 8 },
    ];
    const { values } = cellOf(resultsOf(newRoute, { BIRD: lines }), newRoute, "BIRD");
    assert.deepEqual(values, [2, 8]);
  });

  test("keeps the limit that a run did not meet", () => {
    const late = { limitMs: 120_000, error: "not done after 120 s" };
    assert.deepEqual(cellOf(resultsOf(reflect, { GoBGP: [late] }), reflect, "GoBGP"), {
      values: [],
      runs: 0,
      ...late,
    });
  });
});

describe("bestOf()", () => {
  test("takes the best configuration of a daemon, also where the first has no value", () => {
    const lines = { FRR: [{ error: "no" }], "FRR-10": ms(100), "FRR-0": ms(90) };
    assert.equal(bestOf(resultsOf(reflect, lines), reflect, ["FRR"])?.target, "FRR-0");
  });
});

describe("verdictOf()", () => {
  const others = { floor: ms(1), BIRD: ms(300), "FRR-10": ms(100) };

  for (const [own, reached] of [
    [50, true],
    [51, false],
  ] as const) {
    test(`${own} ms against 100 ms of the best daemon is ${reached ? "reached" : "missed"}`, () => {
      assert.deepEqual(verdictOf(resultsOf(reflect, { ...others, tortie: ms(own) }), reflect), {
        ratio: own / 100,
        reached,
        reference: "FRR-10",
      });
    });
  }

  test("compares with BIRD alone where the limit says so", () => {
    const lines = { BIRD: ms(8), "FRR-0": ms(4), tortie: ms(10) };
    const { ratio, reference } = verdictOf(resultsOf(withdraw, lines), withdraw);
    assert.deepEqual({ ratio, reference }, { ratio: 1.25, reference: "BIRD" });
  });

  test("of p50 and p99 the worse one counts", () => {
    const lines = { BIRD: [{ p50: 1, p99: 2 }], tortie: [{ p50: 1, p99: 3 }] };
    const verdict = verdictOf(resultsOf(newRoute, lines), newRoute);
    assert.deepEqual(verdict, { ratio: 1.5, reached: false, reference: "BIRD" });
  });

  test("is empty without a value of tortie or of another daemon", () => {
    assert.deepEqual(verdictOf(resultsOf(reflect, others), reflect), {});
    assert.deepEqual(verdictOf(resultsOf(reflect, { floor: ms(1), tortie: ms(1) }), reflect), {});
  });
});

describe("worstOf()", () => {
  test("gives the worst run", () => {
    const results = resultsOf(reflect, { tortie: [{ loopBlockMs: 4 }, { loopBlockMs: 60 }, {}] });
    assert.equal(worstOf(results, reflect, { field: "loopBlockMs", target: "tortie" }), 60);
  });
});

describe("tables()", () => {
  const lines = {
    floor: ms(8),
    BIRD: ms(257.4, 300, 200),
    "FRR-10": ms(106),
    GoBGP: [{ limitMs: 120_000, error: "late" }],
    tortie: [
      { ms: 53, loopBlockMs: 60, loopWorkMs: 40, silenceMs: 9001, losses: 1, loadBusy: 0.5 },
    ],
  };

  test("has a row's cells, its limit and its verdict", () => {
    const text = tables(resultsOf(reflect, lines));
    assert.match(
      text,
      /\| reflector, 200 clients x 20 \/26, ms \| 8 \(1 of 3 runs\) \| 257 \| 106 \(1 of 3 runs\) \| > 120,000 \| 53 \(1 of 3 runs\) \| <= 0\.5 x the best other \| 0\.50 x FRR-10: reached \|/,
    );
  });

  test("a smaller table is told in the title", () => {
    const results = { ...resultsOf(rowOf("full-1"), {}), tablePrefixes: 100_000 };
    assert.match(tables(results), /\| 100,000 prefixes to 1 receiver, ms \|/);
  });

  test("marks a blocked event loop, a late keepalive and a lost session", () => {
    const text = tables(resultsOf(reflect, lines));
    assert.match(text, /\| \*\*60\*\* \| 40 \| \*\*9,001\*\* \| \*\*1\*\* \| 50 % \|/);
  });

  test("marks a row that does not count on two cores", () => {
    const text = tables(resultsOf(reflect, lines, 2));
    assert.match(text, /reached \(not counted\)/);
    assert.match(text, /here none counts/);
  });
});

test("jsonText() has the same verdict for programs", () => {
  const results = resultsOf(reflect, { BIRD: ms(100), tortie: ms(20) });
  const { rows: printed } = JSON.parse(jsonText(results));
  assert.equal(printed[0].verdict.ratio, 0.2);
  assert.equal(printed[0].verdict.counts, true);
  assert.deepEqual(printed[0].cells.BIRD.values, [100]);
});
