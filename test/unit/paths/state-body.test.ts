import assert from "node:assert/strict";
import { test } from "node:test";
import { parseState } from "../../../src/paths/state-body.ts";

const tunnel = { name: "vxlan.calico", up: true, mtu: 1450, vni: 4096, port: 4789 };
const whole = { checksumErrors: { udp: 1, tcp: 0 }, arrived: [3, 4], tunnels: [tunnel] };
const parsed = (value: unknown) => parseState(Buffer.from(`${JSON.stringify(value)}\0\0`));

test("parseState() takes what a node says of itself, also without its devices", () => {
  assert.deepEqual(parsed(whole), whole);
  const { tunnels: _none, ...others } = whole;
  assert.deepEqual(parsed(others), others);
  const { vni: _vni, port: _port, ...plain } = tunnel;
  assert.deepEqual(parsed({ ...whole, tunnels: [plain] })?.tunnels, [plain]);
});

const wrong: readonly unknown[] = [
  null,
  [],
  {},
  { ...whole, checksumErrors: null },
  { ...whole, checksumErrors: { udp: "1", tcp: 0 } },
  { ...whole, checksumErrors: { udp: -1, tcp: 0 } },
  { ...whole, arrived: 3 },
  { ...whole, arrived: ["3"] },
  { ...whole, tunnels: [null] },
  { ...whole, tunnels: {} },
  { ...whole, tunnels: [{ ...tunnel, name: "a\u001b[2J" }] },
  { ...whole, tunnels: [{ ...tunnel, vni: "\u001b[2J" }] },
  { ...whole, tunnels: [{ ...tunnel, mtu: undefined }] },
];
for (const value of wrong) {
  test(`parseState() refuses ${JSON.stringify(value)}`, () => {
    assert.equal(parsed(value), undefined);
  });
}
