import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { findingsOf } from "../../../src/paths/findings.ts";
import type {
  Carrier,
  PathObservation,
  PeerObservation,
  TunnelState,
} from "../../../src/paths/path.ts";

const devices: Readonly<Partial<Record<Carrier, readonly [device: string, mtu: number]>>> = {
  vxlan: ["vxlan.calico", 1450],
  "vxlan-v6": ["vxlan-v6.calico", 1430],
  ipip: ["tunl0", 1480],
  wireguard: ["wireguard.cali", 1440],
  udp: ["udp.tortie", 1472],
  ip6ip6: ["ip6ip6.tortie", 1460],
  sit: ["sit.tortie", 1480],
};

/** A path that is sound but for `what`. */
function seen(carrier: Carrier, what: Partial<PathObservation> = {}): PathObservation {
  const [device, mtu] = devices[carrier] ?? ["eth0", 1500];
  const [source, destination] =
    carrier === "underlay" ? ["192.0.2.1", "192.0.2.3"] : ["10.1.0.1", "10.3.0.1"];
  const whole = { wanted: mtu, largest: mtu };
  const ends = { source: parseIpAddr(source ?? ""), destination: parseIpAddr(destination ?? "") };
  const sizes = what.answered === 0 ? {} : { mtu: { there: whole, back: whole } };
  return {
    path: { carrier, family: 4, ...ends, device, mtu },
    sent: 1,
    answered: 1,
    ...sizes,
    ...what,
  };
}

const vxlanV6 = { name: "vxlan-v6.calico", up: true, mtu: 1430, vni: 4096, port: 4789 };
const vxlan: TunnelState = { name: "vxlan.calico", up: true, mtu: 1450, vni: 4096, port: 4789 };

const wireguard: TunnelState = { name: "wireguard.cali", up: true, mtu: 1440, port: 51_820 };
const sit: TunnelState = { name: "sit.tortie", up: true, mtu: 1480 };
const udp: TunnelState = { name: "udp.tortie", up: true, mtu: 1472, port: 8285 };

function six(carrier: Carrier): PathObservation {
  const of = seen(carrier);
  return { ...of, path: { ...of.path, family: 6 } };
}

function peer(
  paths: readonly PathObservation[],
  what: Partial<PeerObservation> = {},
): PeerObservation {
  const own = [vxlan, vxlanV6, { name: "tunl0", up: true, mtu: 1480 }, wireguard, udp, sit];
  return { node: "node3", asked: "answered", tunnels: { here: own, there: own }, paths, ...what };
}

const lost = { sent: 3, answered: 0, checksumErrors: { here: 0, there: 0 }, uncheckedArrived: 0 };
const sound = seen("underlay");
const limited = (largest: number, wanted: number) => ({ wanted, largest });

/** What was seen, and each finding as "code from->to: text | advice". */
const rows: readonly (readonly [
  what: string,
  peer: PeerObservation,
  expected: readonly RegExp[],
])[] = [
  ["nothing wrong", peer([sound, seen("vxlan")]), []],
  [
    "a node that refuses",
    peer([], { asked: "refused" }),
    [/^refused node1->node3: node3 is up, but nobody answers .*\| start tortie felix on node3/],
  ],
  [
    "a node that is silent",
    peer([seen("underlay", { sent: 3, answered: 0 })], { asked: "silent" }),
    [
      /^not-answering node1->node3: node3 \(192\.0\.2\.3\) does not answer from node1 \| see whether node3 is up/,
    ],
  ],
  [
    "a node that is silent, which has a tunnel",
    peer([seen("underlay", { sent: 3, answered: 0 }), seen("vxlan", { sent: 3, answered: 0 })], {
      asked: "silent",
    }),
    [/^not-answering /],
  ],
  [
    "a tunnel that is lost, of a node that cannot be asked",
    peer([sound, seen("vxlan", { sent: 3, answered: 0 })], { asked: "silent" }),
    [
      /^not-answering /,
      /^filtered node1->node3: .*let UDP 4789 pass between node1 and node3, both/,
    ],
  ],
  [
    "a node that answers through a tunnel alone",
    peer([seen("underlay", { sent: 3, answered: 0 }), seen("vxlan")], { asked: "silent" }),
    [/^not-answering .*answers through vxlan, but not at its own address \| let UDP and TCP 5474/],
  ],
  [
    "no route",
    peer([
      sound,
      {
        ...seen("vxlan"),
        path: { ...seen("vxlan").path, device: undefined as never },
        sent: 0,
        answered: 0,
      },
    ]),
    [/^no-route .*no route to node3's tunnel address 10\.3\.0\.1/],
  ],
  [
    "an own firewall",
    peer([sound, seen("vxlan", { ...lost, error: "EPERM" })]),
    [
      /^cannot-send .*node1 cannot send to 10\.3\.0\.1 by vxlan\.calico: EPERM \| a rule of node1's own firewall/,
    ],
  ],
  [
    "UDP 4789 filtered there",
    peer([sound, seen("vxlan", { ...lost, arrived: 0 })]),
    [
      /^filtered node1->node3: UDP 4789 is filtered between node1 and node3: of 3 probes of node1 none arrived \| let UDP 4789 pass from node1 to node3/,
    ],
  ],
  [
    "UDP 4789 filtered back",
    peer([sound, seen("vxlan", { ...lost, arrived: 3 })]),
    [
      /^filtered node3->node1: .*3 of 3 probes of node1 arrived, no answer came back \| let UDP 4789 pass from node3 to node1/,
    ],
  ],
  [
    "another port",
    peer([sound, seen("vxlan", { ...lost, arrived: 0 })], {
      tunnels: { here: [{ ...vxlan, port: 8472 }], there: [{ ...vxlan, port: 8472 }] },
    }),
    [/^filtered .*UDP 8472 is filtered/],
  ],
  [
    "IPIP filtered",
    peer([sound, seen("ipip", { ...lost, arrived: 0 })]),
    [/^filtered .*IP protocol 4 is filtered between node1 and node3/],
  ],
  [
    "WireGuard filtered",
    peer([sound, seen("wireguard", { ...lost, arrived: 0 })]),
    [/^filtered .*UDP 51820 is filtered between node1 and node3/],
  ],
  [
    "a fabric that drops pods' addresses",
    peer([sound, seen("none", { ...lost, arrived: 0 })]),
    [/^filtered .*packets with pods' addresses are filtered .*source\/destination check/],
  ],
  [
    "the peer has no device",
    peer([sound, seen("vxlan", { ...lost, arrived: 0 })], {
      tunnels: { here: [vxlan], there: [] },
    }),
    [/^device .*node3 has no vxlan\.calico \| see felix's log on node3/],
  ],
  [
    "two VNIs",
    peer([sound, seen("vxlan", { ...lost, arrived: 0 })], {
      tunnels: { here: [vxlan], there: [{ ...vxlan, vni: 5 }] },
    }),
    [/^device .*VNI 4096 and port 4789 on node1, VNI 5 and port 4789 on node3 \| give vxlanVNI/],
  ],
  [
    "two ports of WireGuard",
    peer([sound, seen("wireguard", { ...lost, arrived: 0 })], {
      tunnels: { here: [wireguard], there: [{ ...wireguard, port: 5 }] },
    }),
    [
      /^device .*wireguard\.cali has port 51820 on node1, port 5 on node3 \| give wireguardListeningPort/,
    ],
  ],
  [
    "a peer that says nothing of its devices",
    peer([sound, seen("vxlan", { ...lost, arrived: 0 })], { tunnels: { here: [vxlan] } }),
    [/^filtered /],
  ],
  [
    "a userspace tunnel that is filtered",
    peer([sound, seen("udp", { ...lost, arrived: 0 })]),
    [/^filtered .*UDP 8285 is filtered/],
  ],
  [
    "a userspace tunnel that is slow, and swallows large packets",
    peer([
      seen("underlay", { megabitsPerSecond: 9000 }),
      seen("udp", { megabitsPerSecond: 120 }),
      seen("udp", { mtu: { there: limited(1400, 1472) } }),
    ]),
    [/^mtu .*set udpMTU: 1400/],
  ],
  [
    "IPv6 in IPv4 that is filtered",
    peer([sound, seen("sit", { ...lost, arrived: 0 })]),
    [/^filtered .*IP protocol 41 over IPv4 is filtered/],
  ],
  [
    "IPv6 in IPv6 that swallows large packets",
    peer([sound, seen("ip6ip6", { mtu: { there: limited(1400, 1460) } })]),
    [/^mtu .*set ip6TunnelMTU: 1400/],
  ],
  [
    "wrong checksums in a tunnel that felix cannot help",
    peer([sound, seen("ipip", { ...lost, arrived: 0, uncheckedArrived: 1 })]),
    [/^checksum .*\| turn checksum offload off: ethtool -K tx off on the network card of node1/],
  ],
  [
    "wrong checksums there, which the peer's kernel counted",
    peer([sound, seen("vxlan", { ...lost, arrived: 0, checksumErrors: { here: 0, there: 3 } })]),
    [
      /^checksum node1->node3: checksums of packets from node1 to node3 through vxlan\.calico are wrong: node3's kernel counted 3 \| set featureDetectOverride: ChecksumOffloadBroken=true/,
    ],
  ],
  [
    "wrong checksums there, which probes without checksum show",
    peer([sound, seen("vxlan", { ...lost, arrived: 0, uncheckedArrived: 1 })]),
    [/^checksum node1->node3: .*those without a checksum arrive/],
  ],
  [
    "wrong checksums back",
    peer([sound, seen("vxlan", { ...lost, arrived: 3, checksumErrors: { here: 3, there: 0 } })]),
    [/^checksum node3->node1: .*node1's kernel counted 3/],
  ],
  [
    "a few wrong checksums of others",
    peer([sound, seen("vxlan", { ...lost, arrived: 0, checksumErrors: { here: 9, there: 2 } })]),
    [/^filtered/],
  ],
  [
    "packets that vanish in a tunnel",
    peer([sound, seen("vxlan", { mtu: { there: limited(1350, 1450) } })]),
    [
      /^mtu node1->node3: packets above 1350 bytes vanish from node1 to node3 through vxlan\.calico, whose MTU is 1450 \| set vxlanMTU: 1350/,
    ],
  ],
  [
    "packets that vanish on the way back",
    peer([sound, seen("ipip", { mtu: { there: limited(1480, 1480), back: limited(1400, 1480) } })]),
    [
      /^mtu node3->node1: packets above 1400 bytes vanish from node3 to node1 through tunl0.*\| set ipipMTU: 1400/,
    ],
  ],
  [
    "packets that vanish on the underlay, and so in the tunnel",
    peer([
      seen("underlay", { mtu: { there: limited(1400, 1500) } }),
      seen("vxlan", { mtu: { there: limited(1350, 1450) } }),
    ]),
    [
      /^mtu node1->node3: packets above 1400 bytes vanish .*through eth0.*\| set the MTU of eth0 to 1400/,
    ],
  ],
  [
    "a tunnel that loses more than its underlay",
    peer([
      seen("underlay", { mtu: { there: limited(1400, 1500) } }),
      seen("vxlan", { mtu: { there: limited(1200, 1450) } }),
    ]),
    [/^mtu .*eth0/, /^mtu .*above 1200 bytes .*vxlan\.calico/],
  ],
  [
    "packets that are refused",
    peer([seen("underlay", { mtu: { there: { ...limited(1400, 1500), told: true } } })]),
    [/^mtu .*hint.*packets above 1400 bytes are refused/],
  ],
  [
    "lost probes",
    peer([sound, seen("vxlan", { sent: 3 })]),
    [/^loss .*hint.*2 of 3 small probes from node1 to node3 through vxlan\.calico were lost/],
  ],
  [
    "IPv6 alone filtered",
    peer([sound, six("underlay"), seen("vxlan"), { ...six("vxlan-v6"), ...lost, arrived: 0 }]),
    [/^filtered node1->node3: UDP 4789 over IPv6 is filtered/],
  ],
  [
    "the node's own IPv6 address filtered",
    peer([sound, { ...six("underlay"), ...lost, arrived: 0 }, seen("vxlan")]),
    [/^filtered node1->node3: UDP 5474 \(pathCheckPort\) over IPv6 is filtered/],
  ],
  [
    "a tunnel of one family and an underlay of the other",
    peer([
      { ...six("underlay"), mtu: { there: limited(1400, 1500) } },
      sound,
      seen("vxlan", { mtu: { there: limited(1350, 1450) } }),
    ]),
    [/^mtu .*eth0/, /^mtu .*vxlan\.calico/],
  ],
  [
    "a slow tunnel",
    peer([
      seen("underlay", { megabitsPerSecond: 9000 }),
      seen("vxlan", { megabitsPerSecond: 120 }),
    ]),
    [/^slow .*hint.*vxlan\.calico carries 120 Mbit\/s from node1 to node3, the network below 9000/],
  ],
  [
    "a tunnel as slow as its underlay",
    peer([seen("underlay", { megabitsPerSecond: 300 }), seen("vxlan", { megabitsPerSecond: 120 })]),
    [],
  ],
];

for (const [what, observation, expected] of rows) {
  test(`findingsOf() on ${what}`, () => {
    const found = findingsOf("node1", observation, 5474).map(
      ({ code, severity, from, to, text, advice }) =>
        `${code} ${severity === "hint" ? "hint " : ""}${from}->${to}: ${text} | ${advice}`,
    );
    assert.equal(found.length, expected.length, found.join("\n"));
    for (const [i, pattern] of expected.entries()) assert.match(found[i] ?? "", pattern);
  });
}
