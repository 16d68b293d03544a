import assert from "node:assert/strict";
import { test } from "node:test";
import { endpointQos } from "../../../../src/felix/calc/endpoint-qos.ts";

test("endpointQos() is undefined where nothing is limited", () => {
  assert.equal(endpointQos(undefined), undefined);
  assert.equal(endpointQos({}), undefined);
  assert.equal(endpointQos({ ingressBandwidth: 0, egressPacketRate: 0 }), undefined);
  // What goes with a limit is none.
  assert.equal(endpointQos({ ingressBurst: 5000, egressPacketBurst: 5 }), undefined);
});

test("endpointQos() fills in Calico's bursts and keeps to what iptables and tc can do", () => {
  assert.deepEqual(
    endpointQos({
      ingressBandwidth: 1_000_000,
      ingressPacketRate: 20_000,
      ingressMaxConnections: 2 ** 40,
      egressBandwidth: 10,
      egressBurst: 2 ** 60,
      egressPeakrate: 2_000_000,
      egressMinburst: 10,
      egressPacketRate: 100,
      egressPacketBurst: 7,
      dscp: "af11",
    }),
    {
      ingress: {
        bandwidth: { rate: 1_000_000, burst: 2 ** 32 },
        packets: { rate: 10_000, burst: 5 },
        maxConnections: 0xffffffff,
      },
      egress: {
        bandwidth: {
          rate: 1000,
          burst: 34_359_738_360,
          peak: { rate: 2_000_000, minburst: 1000 },
        },
        packets: { rate: 100, burst: 7 },
      },
      dscp: 10,
    },
  );
});

test("endpointQos() leaves the least burst to the dataplane where none is given", () => {
  const { egress } = endpointQos({ egressBandwidth: 1_000_000, egressPeakrate: 2_000_000 }) ?? {};
  assert.deepEqual(egress?.bandwidth?.peak, { rate: 2_000_000, minburst: 0 });
});

test("facts 2.6: endpointQos() leaves out a peak rate that is not above the bandwidth", () => {
  const { egress } = endpointQos({ egressBandwidth: 1_000_000, egressPeakrate: 1_000_000 }) ?? {};
  assert.deepEqual(egress, { bandwidth: { rate: 1_000_000, burst: 2 ** 32 } });
});
