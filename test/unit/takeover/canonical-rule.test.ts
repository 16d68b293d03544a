import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalRule, isTelling } from "../../../src/takeover/canonical-rule.ts";

test("canonicalRule: as felix writes a rule and as iptables-save shows it are one", () => {
  for (const [written, saved] of [
    [
      '-m comment --comment "cali:aaaaaaaaaaaaaaaa" --in-interface cali+ --jump MARK --set-mark 0x80000/0x80000',
      '-i cali+ -m comment --comment "cali:bbbbbbbbbbbbbbbb" -j MARK --set-xmark 0x80000/0x80000',
    ],
    ["--jump MARK --set-mark 0/0x30000", "-j MARK --set-xmark 0x0/0x30000"],
    ["-m mark --mark 0/0x20000 --jump DROP", "-m mark --mark 0x0/0x20000 -j DROP"],
    ["-p 4 --jump DROP", "-p ipencap -j DROP"],
    ["--source 10.0.0.1 --jump DROP", "-s 10.0.0.1/32 -j DROP"],
    ["-m rpfilter --invert --validmark --jump DROP", "-m rpfilter --validmark --invert -j DROP"],
    [
      "-p tcp -m multiport ! --destination-ports 80,90:99 --jump RETURN",
      "-p tcp -m multiport ! --dports 80,90:99 -j RETURN",
    ],
    ["--jump REJECT", "-j REJECT --reject-with icmp-port-unreachable"],
  ] as const) {
    assert.equal(canonicalRule(written), canonicalRule(saved), written);
  }
});

test("canonicalRule: rules that do something else are not one", () => {
  for (const [a, b] of [
    ["-m mark --mark 0x10000/0x10000 -j RETURN", "-m mark ! --mark 0x10000/0x10000 -j RETURN"],
    ["-j MARK --set-xmark 0x10000/0x10000", "-j MARK --set-xmark 0x0/0x10000"],
    ["-s 10.0.0.0/8 -j ACCEPT", "-d 10.0.0.0/8 -j ACCEPT"],
    ["-p tcp -j ACCEPT", "-p udp -j ACCEPT"],
    ["-j cali-a", "-g cali-a"],
    ['-m comment --comment "-j DROP" -j ACCEPT', "-j DROP"],
    ["-m set --match-set a src -j DROP", "-m set --match-set a dst -j DROP"],
    ["-m mark --mark 0x1/0x1 -j DROP", "-m connmark --mark 0x1/0x1 -j DROP"],
    ["-m socket -j ACCEPT", "-j ACCEPT"],
    ["-j MARK --set-mark 0x3/0x1", "-j MARK --set-xmark 0x3/0x1"],
  ] as const) {
    assert.notEqual(canonicalRule(a), canonicalRule(b), a);
  }
});

test("isTelling: rules that log, and no others", () => {
  assert.ok(isTelling("-j NFLOG --nflog-group 1 --nflog-prefix D"));
  assert.ok(isTelling('--jump LOG --log-prefix "calico-packet: "'));
  assert.ok(!isTelling('-m comment --comment "no -j LOGGING" -j DROP'));
  assert.ok(!isTelling('-m comment --comment "no -j LOG here" -j DROP'));
});
