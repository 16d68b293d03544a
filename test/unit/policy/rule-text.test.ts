import assert from "node:assert/strict";
import { test } from "node:test";
import { RuleInterpreter } from "../../support/iptables/interpreter.ts";
import { type HookPacket, parseRule } from "../../support/iptables/rule-text.ts";

/** The interpreter judges limits: what is within them, unless the packet says otherwise. */

const limited = new RuleInterpreter(
  [
    [
      "*filter",
      ":FORWARD - -",
      "-A FORWARD -m limit --limit 100/sec --limit-burst 5 --jump MARK --set-mark 0x80000/0x80000",
      "-A FORWARD -m mark ! --mark 0x80000/0x80000 --jump DROP",
      "-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m connlimit --connlimit-above 3 --connlimit-mask 0 -j REJECT --reject-with tcp-reset",
      "-A FORWARD -m limit --limit 1/second --limit-burst 1 --jump NFLOG --nflog-group 1 --nflog-prefix DPI|x --nflog-size 80",
      "-A FORWARD --jump DSCP --set-dscp 0x2e",
      "COMMIT",
      "",
    ].join("\n"),
  ],
  new Map(),
);

const tcp = { source: "10.0.0.1", destination: "10.0.0.2", protocol: 6, destinationPort: 80 };
const rows: readonly (readonly [string, HookPacket, boolean])[] = [
  ["within all limits", tcp, true],
  ["over the packet rate", { ...tcp, overLimit: true }, false],
  ["the last connection", { ...tcp, connections: 3 }, true],
  ["one connection too many", { ...tcp, connections: 4 }, false],
  ["a connection that goes on", { ...tcp, connections: 4, state: "ESTABLISHED" }, true],
  ["no TCP", { ...tcp, protocol: 17, connections: 4 }, true],
];
for (const [what, packet, accepted] of rows) {
  test(`limits: ${what}`, () => {
    assert.equal(limited.send("forward", packet).accepted, accepted);
  });
}

test("names that end as an option does, and comments, are no options", () => {
  const { tests } = parseRule(
    '-m comment --comment "-m tcp -m icmp6 --dport" -m set --match-set cali40s:a-p src --jump cali-pi-b-p -m comment --comment x',
  );
  assert.equal(tests.length, 1);
  const commented = '-m comment --comment "a -p tcp b" -m multiport --destination-ports 80';
  assert.throws(() => parseRule(commented), /without a protocol/);
  assert.throws(() => parseRule("! -p tcp -m multiport --source-ports 80"), /without a protocol/);
  assert.throws(() => parseRule("-p tcp --jump ACCEPT ! -p udp"), /two -p/);
});
