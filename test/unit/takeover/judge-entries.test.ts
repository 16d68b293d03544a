import assert from "node:assert/strict";
import { test } from "node:test";
import type { KernelChange } from "../../../src/kernel/dry/kernel-change.ts";
import type { KernelNeighbor, WireguardDevice, WireguardPeer } from "../../../src/kernel/kernel.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { parseMac } from "../../../src/lib/mac.ts";
import { parsePrefix } from "../../../src/lib/prefix.ts";
import type { Finding } from "../../../src/takeover/finding.ts";
import { judgeDevices } from "../../../src/takeover/judge-devices.ts";
import { judgeForwarding, judgeNeighbors } from "../../../src/takeover/judge-neighbors.ts";
import { judgeSets } from "../../../src/takeover/judge-sets.ts";

/** Entries of other nodes and pods: those that are new are harmless, those that go or are others are not. */

const names = new Map([
  [3, "vxlan.calico"],
  [4, "wireguard.cali"],
]);
const told = (findings: readonly Finding[]) =>
  findings.map(({ change, interrupts }) => [change, interrupts]);
const [macA, macB] = [parseMac("66:00:00:00:00:01"), parseMac("66:00:00:00:00:02")];
const address = parseIpAddr("10.0.0.1");

test("judgeNeighbors", () => {
  const neighbor = { ifindex: 3, address, mac: macA, state: "permanent" } as const;
  const judged = (op: "set" | "remove", before: readonly KernelNeighbor[]) =>
    told(judgeNeighbors([{ kind: "neighbor", op, neighbor }], before, names));
  assert.deepEqual(judged("set", []), [["added", false]]);
  assert.deepEqual(judged("set", [{ ...neighbor, mac: macB }]), [["replaced", true]]);
  assert.deepEqual(judged("set", [{ ...neighbor, mac: macB, ifindex: 4 }]), [["added", false]]);
  assert.deepEqual(judged("remove", [neighbor]), [["removed", true]]);
});

test("judgeForwarding", () => {
  const entry = { ifindex: 3, mac: macA, destination: address };
  const other = { ...entry, destination: parseIpAddr("10.0.0.2") };
  const judged = (op: "set" | "remove", before: readonly (typeof entry)[]) =>
    told(judgeForwarding([{ kind: "fdb", op, entry }], before, names));
  assert.deepEqual(judged("set", []), [["added", false]]);
  assert.deepEqual(judged("set", [other]), [["replaced", true]]);
  assert.deepEqual(judged("remove", [entry]), [["removed", true]]);
});

test("judgeDevices: WireGuard's key, port and peers", () => {
  const [prefix, more] = [parsePrefix("10.1.0.0/26"), parsePrefix("10.2.0.0/26")];
  const old: WireguardPeer = {
    publicKey: "there",
    endpoint: { address, port: 51_820 },
    allowed: [prefix],
  } as unknown as WireguardPeer;
  const device = { ifindex: 4, listenPort: 51_820, mark: 0, peers: [old] } as WireguardDevice;
  const judged = (change: object) =>
    told(judgeDevices([{ ifindex: 4, ...change } as KernelChange], new Map([[4, device]]), names));
  const set = (peer: object) => judged({ kind: "wireguardPeer", op: "set", peer });
  assert.deepEqual(set({ ...old, publicKey: "new" }), [["added", false]]);
  assert.deepEqual(set({ ...old, allowed: [prefix, more] }), [["replaced", false]]);
  assert.deepEqual(set({ ...old, allowed: [more] }), [["replaced", true]]);
  assert.deepEqual(set({ ...old, endpoint: { address, port: 1 } }), [["replaced", true]]);
  assert.deepEqual(judged({ kind: "wireguardPeer", op: "remove", peer: old }), [["removed", true]]);
  assert.deepEqual(judged({ kind: "wireguard", change: "key" }), [["replaced", true]]);
  assert.deepEqual(judged({ kind: "wireguard", change: { listenPort: 1 } }), [["replaced", true]]);
});

test("judgeDevices: an address that goes, a device that goes", () => {
  const judged = (change: KernelChange) => told(judgeDevices([change], new Map(), names));
  const one = { ifindex: 3, address, length: 32 };
  assert.deepEqual(judged({ kind: "address", op: "remove", address: one }), [["removed", true]]);
  assert.deepEqual(judged({ kind: "address", op: "set", address: one }), [["added", false]]);
  const link = { ifindex: 3, name: "vxlan.calico", up: true, running: true, mtu: 1450 };
  assert.deepEqual(judged({ kind: "link", op: "remove", link }), [["removed", true]]);
});

test("judgeSets: members decide", () => {
  const judged = (
    op: "add" | "change" | "replace" | "remove",
    added: string[],
    removed: string[],
  ) =>
    told(
      judgeSets({ family: 4, equal: 0, differences: [{ name: "s", op, added, removed }] }).findings,
    );
  assert.deepEqual(judged("change", ["10.0.0.1"], []), [["replaced", true]]);
  assert.deepEqual(judged("replace", [], ["10.0.0.1"]), [["replaced", true]]);
  assert.deepEqual(judged("replace", [], []), [["replaced", false]]);
  assert.deepEqual(judged("add", ["10.0.0.1"], []), [["added", false]]);
  assert.deepEqual(judged("remove", [], []), [["removed", false]]);
});
