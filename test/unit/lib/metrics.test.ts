import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { metricsText } from "../../../src/lib/metrics.ts";
import { parsePrometheusText } from "../../support/prometheus-text.ts";

describe("metricsText()", () => {
  test("is the text format of Prometheus", () => {
    const samples = [{ labels: { peer: "a", state: "Idle" }, value: 1 }, { value: 0.5 }];
    assert.equal(
      metricsText([
        { name: "bgp_peers", help: "Sessions.", type: "gauge", samples },
        { name: "none", help: "Without samples.", type: "counter", samples: [] },
      ]),
      '# HELP bgp_peers Sessions.\n# TYPE bgp_peers gauge\nbgp_peers{peer="a",state="Idle"} 1\nbgp_peers 0.5\n',
    );
  });

  test("any text of a label can be read back", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('"', "\\", "\n", "n", ",", "}", "é") }),
        (error) => {
          const samples = [{ labels: { error }, value: 1 }];
          const text = metricsText([{ name: "x", help: "y", type: "gauge", samples }]);
          assert.deepEqual(parsePrometheusText(text), [{ name: "x", labels: { error }, value: 1 }]);
        },
      ),
    );
  });
});
