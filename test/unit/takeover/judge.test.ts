import assert from "node:assert/strict";
import { test } from "node:test";
import type { KernelChange } from "../../../src/kernel/dry/kernel-change.ts";
import { parseSave } from "../../../src/kernel/iptables/parse-save.ts";
import type { KernelLink, KernelRoute } from "../../../src/kernel/kernel.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { parseMac } from "../../../src/lib/mac.ts";
import { parsePrefix } from "../../../src/lib/prefix.ts";
import { type Area, verdictOf } from "../../../src/takeover/finding.ts";
import { judgeDevices } from "../../../src/takeover/judge-devices.ts";
import { judgeRules } from "../../../src/takeover/judge-neighbors.ts";
import { judgeRoutes } from "../../../src/takeover/judge-routes.ts";
import { judgeSysctls } from "../../../src/takeover/judge-sysctls.ts";
import { judgeTable } from "../../../src/takeover/judge-table.ts";
import { reportOf, reportText } from "../../../src/takeover/report-text.ts";

/** What of each kind of difference is said, and whether it would interrupt. */

function table(saved: readonly string[], write: readonly string[], otherEnforces = false): Area {
  const text = `*filter\n:FORWARD ACCEPT [0:0]\n${saved.join("\n")}\nCOMMIT\n`;
  const plan = { table: "filter", write, remove: [] } as const;
  const report = { table: "filter", family: 4, chains: 3, plan } as const;
  return judgeTable({ ...report, saved: parseSave(text, "filter") }, "nft", otherEnforces);
}

const hashA = '-m comment --comment "cali:aaaaaaaaaaaaaaaa"';
const hashB = '-m comment --comment "cali:bbbbbbbbbbbbbbbb"';

test("judgeTable: a chain that logs otherwise decides as before", () => {
  const saved = [":cali-x - [0:0]", `-A cali-x ${hashA} -j DROP`];
  const write = [
    ":cali-x - [0:0]",
    `-A cali-x ${hashA} -j NFLOG --nflog-group 1`,
    `-A cali-x ${hashB} --jump DROP`,
  ];
  const { findings, equal } = table(saved, write);
  assert.equal(equal, 2);
  assert.deepEqual(findings, [
    {
      change: "replaced",
      what: "chain cali-x",
      interrupts: false,
      why: "it differs in what it logs: it decides as before",
    },
  ]);
});

test("judgeTable: the same rules in another order decide otherwise", () => {
  const saved = [":cali-x - [0:0]", `-A cali-x ${hashA} -j DROP`, `-A cali-x ${hashB} -j ACCEPT`];
  const write = [":cali-x - [0:0]", `-A cali-x ${hashA} -j ACCEPT`, `-A cali-x ${hashB} -j DROP`];
  const [finding] = table(saved, write).findings;
  assert.equal(finding?.interrupts, true);
  assert.match(finding?.why ?? "", /another order/);
});

test("judgeTable: where nothing leads to felix's chains policy begins, and the other backend's is not compared", () => {
  const write = [`-I FORWARD ${hashA} --jump cali-FORWARD`];
  const [begins] = table([], write).findings;
  assert.equal(begins?.interrupts, true);
  assert.match(begins?.why ?? "", /what policy denies would end/);
  const [unknown] = table([], write, true).findings;
  assert.equal(unknown?.interrupts, true);
  assert.match(unknown?.why ?? "", /other backend now: .* not compared/);
});

test("judgeTable: rules of others that come before ours would come after them", () => {
  const ours = `${hashA} -j cali-FORWARD`;
  const saved = ["-A FORWARD -s 203.0.113.0/24 -j ACCEPT", `-A FORWARD ${ours}`];
  const [finding] = table(saved, [
    `-D FORWARD ${ours}`,
    `-I FORWARD ${hashA} --jump cali-FORWARD`,
  ]).findings;
  assert.equal(finding?.interrupts, true);
  assert.match(finding?.why ?? "", /stand elsewhere among the rules of others/);
});

test("judgeTable: rules of ours in a kernel chain with other hashes are harmless only where they stand", () => {
  const saved = ["-A FORWARD -s 203.0.113.0/24 -j ACCEPT", `-A FORWARD ${hashA} -j cali-FORWARD`];
  const out = `-D FORWARD ${hashA} -j cali-FORWARD`;
  const [moved] = table(saved, [out, `-I FORWARD ${hashB} --jump cali-FORWARD`]).findings;
  assert.equal(moved?.interrupts, true);
  const [stays] = table(saved, [out, `-A FORWARD ${hashB} --jump cali-FORWARD`]).findings;
  assert.equal(stays?.interrupts, false);
  assert.match(stays?.why ?? "", /hash comments/);
  const two = [`-A FORWARD ${hashA} -j cali-a`, `-A FORWARD ${hashB} -j cali-b`];
  const outs = [`-D FORWARD ${hashA} -j cali-a`, `-D FORWARD ${hashB} -j cali-b`];
  const swapped = [`-I FORWARD ${hashB} -j cali-a`, `-I FORWARD ${hashA} -j cali-b`];
  assert.equal(table(two, [...outs, ...swapped]).findings[0]?.interrupts, true);
  assert.equal(table(two, [...outs, ...swapped.toReversed()]).findings[0]?.interrupts, false);
});

const names = new Map([
  [2, "eth0"],
  [3, "vxlan.calico"],
]);

function route(to: string, over: Partial<KernelRoute> = {}): KernelRoute {
  const base = {
    table: 254,
    priority: 0,
    kind: "unicast",
    scope: "universe",
    protocol: 80,
  } as const;
  return { ...base, destination: parsePrefix(to), ifindex: 2, ...over };
}

test("judgeRoutes: another protocol or metric is no other way, another gateway is", () => {
  const [old, next] = [
    route("10.1.0.0/26", { protocol: 12 }),
    route("10.1.0.0/26", { priority: 1024 }),
  ];
  const changes: KernelChange[] = [
    { kind: "route", op: "set", route: next },
    { kind: "route", op: "remove", route: old },
  ];
  assert.deepEqual(
    judgeRoutes(changes, [old], names).map(({ change, interrupts }) => [change, interrupts]),
    [["replaced", false]],
  );
  const elsewhere = route("10.1.0.0/26", { gateway: parseIpAddr("192.0.2.9") });
  const [finding] = judgeRoutes(
    [{ kind: "route", op: "set", route: elsewhere }],
    [route("10.1.0.0/26")],
    names,
  );
  assert.equal(finding?.interrupts, true);
  assert.equal(
    finding?.what,
    "route 10.1.0.0/26 dev eth0 proto 80 by 10.1.0.0/26 via 192.0.2.9 dev eth0 proto 80",
  );
});

test("judgeRoutes: what goes without another in its place is an interruption, a blackhole is none", () => {
  const gone = [route("10.1.0.0/26"), route("10.2.0.0/26", { kind: "blackhole" })];
  const changes = gone.map((one): KernelChange => ({ kind: "route", op: "remove", route: one }));
  assert.deepEqual(
    judgeRoutes(changes, gone, names).map(({ what, interrupts }) => [what, interrupts]),
    [
      ["route 10.1.0.0/26 dev eth0 proto 80", true],
      ["route blackhole 10.2.0.0/26 dev eth0 proto 80", false],
    ],
  );
});

test("judgeRoutes: a new route interrupts what another one leads elsewhere now", () => {
  const next = route("10.1.0.8/32", { priority: 1024 });
  const judged = (now: readonly KernelRoute[], set = next) =>
    judgeRoutes([{ kind: "route", op: "set", route: set }], now, names).map(
      ({ change, interrupts }) => [change, interrupts],
    );
  const gateway = parseIpAddr("192.0.2.9");
  assert.deepEqual(judged([]), [["added", false]]);
  assert.deepEqual(judged([route("0.0.0.0/0", { gateway })]), [["added", false]]);
  assert.deepEqual(judged([route("10.1.0.0/26", { gateway })]), [["added", true]]);
  assert.deepEqual(judged([route("10.1.0.0/26")]), [["added", false]]);
  assert.deepEqual(judged([route("10.1.0.0/26", { gateway, table: 7 })]), [["added", false]]);
  const blocked = [route("10.1.0.0/26", { kind: "blackhole" }), route("10.0.0.0/8", { gateway })];
  assert.deepEqual(judged(blocked), [["added", false]]);
  assert.deepEqual(judged([route("10.1.0.8/32", { gateway, priority: 100 })]), [["added", true]]);
  assert.deepEqual(judged([], route("10.1.0.8/32", { table: 1 })), [["added", true]]);
});

test("judgeRoutes: what stays in the place of a route that goes must lead the same way, or be used already", () => {
  const gone = route("10.1.0.0/26", { priority: 50 });
  const judged = (stays: KernelRoute) =>
    judgeRoutes([{ kind: "route", op: "remove", route: gone }], [gone, stays], names)[0]
      ?.interrupts;
  const gateway = parseIpAddr("192.0.2.9");
  assert.equal(judged(route("10.1.0.0/26", { priority: 100 })), false);
  assert.equal(judged(route("10.1.0.0/26", { priority: 100, gateway })), true);
  assert.equal(judged(route("10.1.0.0/26", { priority: 10, gateway })), false);
});

test("judgeRoutes: another source address or a limit of size is another way", () => {
  for (const over of [{ source: parseIpAddr("192.0.2.1") }, { mtu: 1400 }]) {
    const changes: KernelChange[] = [
      { kind: "route", op: "set", route: route("10.1.0.0/26", over) },
    ];
    assert.equal(judgeRoutes(changes, [route("10.1.0.0/26")], names)[0]?.interrupts, true);
  }
});

test("judgeRules: a rule interrupts, unless it stands in for one that leads to the same table", () => {
  const rule = { family: 4, priority: 99, table: 1, mark: 0x100000, mask: 0x100000 } as const;
  const set: KernelChange = { kind: "rule", op: "set", rule };
  const remove: KernelChange = { kind: "rule", op: "remove", rule: { ...rule, priority: 98 } };
  const judged = (changes: KernelChange[]) =>
    judgeRules(changes).map(({ interrupts }) => interrupts);
  assert.deepEqual(judged([set]), [true]);
  assert.deepEqual(judged([remove]), [true]);
  assert.deepEqual(judged([set, remove]), [false, false]);
});

test("judgeSysctls: a stricter filter of the reverse path interrupts", () => {
  const judged = (key: string, present: string, wanted: string) =>
    judgeSysctls([{ path: ["net", "ipv4", "conf", "cali1", key], present, wanted }]);
  for (const [present, wanted, interrupts] of [
    ["0", "1", true],
    ["0", "2", true],
    ["2", "1", true],
    ["1", "2", false],
    ["1", "0", false],
  ] as const) {
    const [finding] = judged("rp_filter", present, wanted).findings;
    assert.equal(finding?.interrupts, interrupts, `${present} by ${wanted}`);
  }
  assert.equal(judged("rp_filter", "1", "1").equal, 1);
  assert.equal(judged("proxy_arp", "0", "1").findings[0]?.interrupts, false);
});

test("judgeDevices: a device that is made anew is one finding, with what is set on it", () => {
  const vxlan = { vni: 4096, port: 4789, learning: false };
  const link = { name: "vxlan.calico", type: "vxlan", up: true, running: true, mtu: 1450 } as const;
  const old: KernelLink = { ...link, ifindex: 3, vxlan: { ...vxlan, port: 8472 } };
  const made: KernelLink = { ...link, ifindex: 0x4000_0000, vxlan };
  const address = { ifindex: made.ifindex, address: parseIpAddr("10.0.0.1"), length: 32 };
  const changes: KernelChange[] = [
    { kind: "link", op: "remove", link: old },
    { kind: "link", op: "add", link: made },
    { kind: "address", op: "set", address },
  ];
  const all = new Map([...names, [made.ifindex, made.name]]);
  const [finding, ...others] = judgeDevices(changes, new Map(), all);
  assert.deepEqual(others, []);
  assert.equal(finding?.change, "replaced");
  assert.equal(finding?.interrupts, true);
  assert.match(finding?.why ?? "", /port 8472 .* would be .* port 4789/);
});

test("judgeDevices: a smaller MTU and another MAC address interrupt, a larger MTU does not", () => {
  const link: KernelLink = { ifindex: 3, name: "vxlan.calico", up: true, running: true, mtu: 1450 };
  const judged = (change: object) =>
    judgeDevices([{ kind: "link", op: "set", link, change }], new Map(), names)[0]?.interrupts;
  assert.equal(judged({ mtu: 1400 }), true);
  assert.equal(judged({ mtu: 1500 }), false);
  assert.equal(judged({ mac: parseMac("66:00:00:00:00:01") }), true);
  assert.equal(judged({ up: false }), true);
  assert.equal(judged({ name: "other" }), true);
});

test("verdictOf: what could not be read beats what interrupts; the text groups what is the same", () => {
  const finding = { change: "added", interrupts: true, why: "because" } as const;
  const area: Area = {
    name: "routes",
    equal: 1,
    findings: ["a", "b", "c", "d", "e"].map((what) => ({ ...finding, what })),
    notes: [],
  };
  assert.equal(verdictOf([area]), "interrupts");
  assert.equal(verdictOf([area, { ...area, error: "no" }]), "unreadable");
  assert.equal(verdictOf([{ ...area, findings: [] }]), "safe");
  const text = reportText(reportOf("node1", [area]));
  assert.match(text, /^routes: 1 equal, 5 would be added$/m);
  assert.match(text, /^ {2}! added 5: a, b, c, d and 1 more: because$/m);
  assert.match(text, /^INTERRUPTS: .* \(5 marked\)$/m);
  const unread = reportText(reportOf("node1", [{ ...area, error: "no such table" }]));
  assert.match(unread, /^routes: not read: no such table$/m);
});
