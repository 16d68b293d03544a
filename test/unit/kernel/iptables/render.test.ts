import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Action, Match, Rule } from "../../../../src/kernel/iptables/model.ts";
import { hashComment, renderRule } from "../../../../src/kernel/iptables/render.ts";
import { renderChain } from "../../../../src/kernel/iptables/rendered-chain.ts";
import { InputError } from "../../../../src/lib/errors.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import type { Prefix } from "../../../../src/lib/prefix.ts";

const features = { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true };
const text = (rule: Rule): string => renderRule(rule, "HASH", features);
const net = "10.0.0.0/8" as Prefix;
const address = "10.0.0.1" as IpAddr;

const matches: readonly (readonly [Match, string])[] = [
  [{ kind: "mark", value: 0x10000, mask: 0x10000 }, "-m mark --mark 0x10000/0x10000"],
  [{ kind: "mark", value: 0, mask: 0x30000 }, "-m mark --mark 0/0x30000"],
  [{ kind: "mark", value: 0, mask: 0x30000, not: true }, "-m mark ! --mark 0/0x30000"],
  [{ kind: "mark", value: 0x80000000, mask: 0x80000000 }, "-m mark --mark 0x80000000/0x80000000"],
  [{ kind: "interface", direction: "in", name: "cali", prefix: true }, "--in-interface cali+"],
  [{ kind: "interface", direction: "out", name: "vxlan.calico" }, "--out-interface vxlan.calico"],
  [{ kind: "protocol", protocol: "tcp" }, "-p tcp"],
  [{ kind: "protocol", protocol: 4, not: true }, "! -p 4"],
  [{ kind: "net", side: "source", net }, "--source 10.0.0.0/8"],
  [{ kind: "net", side: "destination", net, not: true }, "! --destination 10.0.0.0/8"],
  [{ kind: "limit", rate: "10/minute", burst: 5 }, "-m limit --limit 10/minute --limit-burst 5"],
  [{ kind: "tcpSyn" }, "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN"],
  [{ kind: "connectionsAbove", count: 3 }, "-m connlimit --connlimit-above 3 --connlimit-mask 0"],
  [{ kind: "ipSet", side: "source", set: "cali40s:x-_" }, "-m set --match-set cali40s:x-_ src"],
  [
    { kind: "ipSet", side: "destination", set: "cali60n:y", withPort: true, not: true },
    "-m set ! --match-set cali60n:y dst,dst",
  ],
  [
    {
      kind: "ports",
      side: "destination",
      ports: [
        { first: 80, last: 80 },
        { first: 8000, last: 8100 },
      ],
    },
    "-m multiport --destination-ports 80,8000:8100",
  ],
  [
    { kind: "ports", side: "source", ports: [{ first: 1, last: 1 }], not: true },
    "-m multiport ! --source-ports 1",
  ],
  [{ kind: "destinationPort", port: 4789 }, "--dport 4789"],
  [{ kind: "conntrackState", states: ["DNAT"], not: true }, "-m conntrack ! --ctstate DNAT"],
  [{ kind: "reversePathFailed" }, "-m rpfilter --invert --validmark"],
  [
    { kind: "localAddress", side: "source", limitInterfaceOut: true, not: true },
    "-m addrtype ! --src-type LOCAL --limit-iface-out",
  ],
  [{ kind: "localAddress", side: "destination" }, "-m addrtype --dst-type LOCAL"],
  [{ kind: "icmp", family: 4, type: 8, code: 0 }, "-m icmp --icmp-type 8/0"],
  [{ kind: "icmp", family: 6, type: 128, not: true }, "-m icmp6 ! --icmpv6-type 128"],
];

const actions: readonly (readonly [Action, string])[] = [
  [{ kind: "tcpReset" }, "-j REJECT --reject-with tcp-reset"],
  [{ kind: "dscp", value: 46 }, "--jump DSCP --set-dscp 0x2e"],
  [{ kind: "jump", chain: "cali-FORWARD" }, "--jump cali-FORWARD"],
  [{ kind: "goto", chain: "cali-pi-np/ns/a.b" }, "--goto cali-pi-np/ns/a.b"],
  [{ kind: "return" }, "--jump RETURN"],
  [{ kind: "accept" }, "--jump ACCEPT"],
  [{ kind: "drop" }, "--jump DROP"],
  [{ kind: "reject" }, "--jump REJECT"],
  [{ kind: "setMark", value: 0x10000, mask: 0x10000 }, "--jump MARK --set-mark 0x10000/0x10000"],
  [{ kind: "setMark", value: 0, mask: 0x180000 }, "--jump MARK --set-mark 0x0/0x180000"],
  [{ kind: "clearMark", mask: 0x30000 }, "--jump MARK --set-mark 0/0x30000"],
  [{ kind: "masquerade" }, "--jump MASQUERADE --random-fully"],
  [
    { kind: "masquerade", toPorts: { first: 4790, last: 65535 } },
    "--jump MASQUERADE --to-ports 4790-65535 --random-fully",
  ],
  [
    { kind: "snat", address, toPorts: { first: 1, last: 2 } },
    "--jump SNAT --to-source 10.0.0.1:1-2 --random-fully",
  ],
  [{ kind: "dnat", address }, "--jump DNAT --to-destination 10.0.0.1"],
  [
    { kind: "dnat", address: "2001:db8::1" as IpAddr, port: 80 },
    "--jump DNAT --to-destination [2001:db8::1]:80",
  ],
  [
    { kind: "log", prefix: "calico-packet" },
    '--jump LOG --log-prefix "calico-packet: " --log-level 5',
  ],
  [
    { kind: "nflog", group: 1, prefix: "DPI|default a" },
    "--jump NFLOG --nflog-group 1 --nflog-prefix DPI|default_a --nflog-size 80",
  ],
  [{ kind: "noTrack" }, "--jump NOTRACK"],
];

describe("renderRule()", () => {
  for (const [match, wanted] of matches) {
    test(`writes ${wanted}`, () => assert.equal(text({ match: [match] }), `HASH ${wanted}`));
  }

  for (const [action, wanted] of actions) {
    test(`writes ${wanted}`, () => assert.equal(text({ match: [], action }), `HASH ${wanted}`));
  }

  test("leaves out --random-fully where iptables has none", () => {
    const old = { snatFullyRandom: false, masqFullyRandom: false, restoreWait: false };
    const action = { kind: "masquerade" } as const;
    assert.equal(renderRule({ match: [], action }, "HASH", old), "HASH --jump MASQUERADE");
  });

  test("puts comments behind the hash, made safe and cut", () => {
    const rule = { match: [], comments: ['a "b"\n;$', "é🐈", "x".repeat(300)] };
    assert.equal(
      renderRule(rule, hashComment("H--d2Y1JBrmPzhtC"), features),
      '-m comment --comment "cali:H--d2Y1JBrmPzhtC" -m comment --comment "a _b____" ' +
        `-m comment --comment "__" -m comment --comment "${"x".repeat(256)}"`,
    );
  });
});

describe("no string of a resource leaves its place", () => {
  const nasty = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({
      unit: fc.constantFrom('"', "'", "\\", "\n", "\r", "\0", " ", "-", "$", "`", ";", "A"),
    }),
    fc.constantFrom(
      '" -j ACCEPT',
      "x\n-A INPUT -j ACCEPT",
      "COMMIT\n",
      "-j",
      "! x",
      "--",
      "\u2028",
    ),
  );

  test("comments and prefixes stay between their quotes, on their line", () => {
    fc.assert(
      fc.property(nasty, nasty, (comment, prefix) => {
        const rendered = text({ match: [], comments: [comment], action: { kind: "log", prefix } });
        assert.match(
          rendered,
          /^HASH -m comment --comment "[\w @%+=:,./-]{0,256}" --jump LOG --log-prefix "[\w @%+=:,./-]{2,29}" --log-level 5$/,
        );
        const nflog = text({
          match: [],
          action: { kind: "nflog", group: 1, prefix: `p${prefix}` },
        });
        assert.equal(nflog.split(" ").length, 9);
      }),
    );
  });

  test("names are whole words or refused", () => {
    const rules: readonly ((name: string) => Rule)[] = [
      (name) => ({ match: [], action: { kind: "jump", chain: name } }),
      (name) => ({ match: [{ kind: "interface", direction: "in", name }] }),
      (name) => ({ match: [{ kind: "ipSet", side: "source", set: name }] }),
      (name) => ({ match: [{ kind: "protocol", protocol: name }] }),
      (name) => ({ match: [{ kind: "net", side: "source", net: name as Prefix }] }),
      (name) => ({ match: [], action: { kind: "snat", address: name as IpAddr } }),
      (name) => ({ match: [], action: { kind: "dnat", address: name as IpAddr } }),
    ];
    for (const rule of rules) {
      const words = text(safe(rule)).split(" ").length;
      fc.assert(
        fc.property(nasty, (name) => {
          let rendered: string;
          try {
            rendered = text(rule(name));
          } catch (error) {
            assert.ok(error instanceof InputError);
            return;
          }
          assert.equal(rendered.split(/\s/).length, words);
          assert.doesNotMatch(rendered, /["'\\\n\r\0]| -(?:A|I|D|X)/);
        }),
      );
    }
  });

  test("a chain is refused whole when one of its parts is", () => {
    for (const name of ["", "-x", "a b", "a\nb", "x".repeat(29), "!x", "é"]) {
      assert.throws(() => renderChain({ name, rules: [] }, features), InputError);
    }
    for (const port of [-1, 65_536, 1.5, Number.NaN]) {
      const match: Match[] = [{ kind: "destinationPort", port }];
      assert.throws(() => text({ match }), InputError);
    }
  });
});

/** The rule with a legal name: all kinds but nets and addresses take "a". */
function safe(rule: (name: string) => Rule): Rule {
  try {
    text(rule("a"));
    return rule("a");
  } catch {
    return rule("10.0.0.1");
  }
}
