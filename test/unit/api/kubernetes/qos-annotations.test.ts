import assert from "node:assert/strict";
import { test } from "node:test";
import { dscpValue } from "../../../../src/api/dscp.ts";
import { qosOfAnnotations } from "../../../../src/api/kubernetes/qos-annotations.ts";
import { parseQuantity } from "../../../../src/api/kubernetes/quantity.ts";

function qos(annotations: Readonly<Record<string, string>>) {
  const own = Object.entries(annotations).map(([name, value]) => [
    name.includes("/") ? name : `qos.projectcalico.org/${name}`,
    value,
  ]);
  return qosOfAnnotations(Object.fromEntries(own));
}

test("parseQuantity() reads Kubernetes' forms and rounds up", () => {
  const quantities = {
    "10": 10,
    "1k": 1_000,
    "10M": 10_000_000,
    "4Gi": 4_294_967_296,
    "1.5k": 1_500,
    "1.01P": 1_010_000_000_000_000,
    "1e3": 1_000,
    "2E": 2e18,
    "100m": 1,
    "0.1": 1,
    "-2k": -2_000,
  };
  for (const [text, value] of Object.entries(quantities)) {
    assert.equal(parseQuantity(text), value, text);
  }
  for (const text of ["", "k", "1 k", "1K", "1kk", "0x10", "1e", "Infinity"]) {
    assert.throws(() => parseQuantity(text), SyntaxError, text);
  }
});

test("facts 2.6: every annotation of quality of service becomes a control", () => {
  const { controls, problems } = qos({
    ingressBandwidth: "10M",
    ingressBurst: "1M",
    ingressPeakrate: "20M",
    ingressMinburst: "2k",
    ingressPacketRate: "100",
    ingressPacketBurst: "20",
    ingressMaxConnections: "5",
    egressBandwidth: "1G",
    egressPacketRate: "1k",
    egressMaxConnections: "4294967295",
    dscp: "af41",
  });
  assert.deepEqual(controls, {
    ingressBandwidth: 10_000_000,
    ingressBurst: 1_000_000,
    ingressPeakrate: 20_000_000,
    ingressMinburst: 2_000,
    ingressPacketRate: 100,
    ingressPacketBurst: 20,
    ingressMaxConnections: 5,
    egressBandwidth: 1_000_000_000,
    egressBurst: 4_294_967_296,
    egressPacketRate: 1_000,
    egressPacketBurst: 5,
    egressMaxConnections: 4_294_967_295,
    dscp: "AF41",
  });
  assert.deepEqual(problems, []);
  assert.deepEqual(qos({}), { problems: [] });
});

test("Kubernetes' own bandwidth counts where Calico's is absent", () => {
  const usual = { "kubernetes.io/egress-bandwidth": "1M" };
  assert.equal(qos(usual).controls?.egressBandwidth, 1_000_000);
  assert.equal(qos({ ...usual, egressBandwidth: "2M" }).controls?.egressBandwidth, 2_000_000);
});

test("facts 2.6: a value out of range becomes the nearest in it, and is told", () => {
  const limits: readonly (readonly [string, string, number])[] = [
    ["ingressBandwidth", "1", 1_000],
    ["ingressBandwidth", "2P", 1e15],
    ["ingressPacketRate", "0", 1],
    ["ingressPacketRate", "20k", 10_000],
    ["ingressMaxConnections", "4294967296", 4_294_967_295],
  ];
  for (const [name, text, value] of limits) {
    const { controls = {}, problems } = qos({ [name]: text });
    assert.equal((controls as Readonly<Record<string, unknown>>)[name], value, `${name} ${text}`);
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? "", new RegExp(`qos.projectcalico.org/${name}: ${text} `));
  }
});

test("what cannot be read, or lacks what it goes with, counts as absent and is told", () => {
  for (const alone of [
    { ingressBandwidth: "fast" },
    { ingressBurst: "1M" },
    { egressPeakrate: "1M" },
    { egressMinburst: "2k" },
    { ingressPacketBurst: "5" },
    { dscp: "64" },
    { dscp: "CS7" },
  ]) {
    const { controls, problems } = qos(alone);
    assert.equal(controls, undefined, JSON.stringify(alone));
    assert.equal(problems.length, 1, JSON.stringify(alone));
  }
  const notAbove = qos({ egressBandwidth: "2M", egressPeakrate: "2M" });
  assert.deepEqual(Object.keys(notAbove.controls ?? {}), ["egressBandwidth", "egressBurst"]);
});

test("dscpValue() knows numbers and names", () => {
  const values = { DF: 0, cs6: 48, AF11: 10, AF43: 38, EF: 46, "63": 63, "0": 0 };
  for (const [text, value] of Object.entries(values)) assert.equal(dscpValue(text), value, text);
});
