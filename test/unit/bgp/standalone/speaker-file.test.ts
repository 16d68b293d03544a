import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Files } from "../../../../src/bgp/standalone/password-file.ts";
import { problemText } from "../../../../src/bgp/standalone/place.ts";
import { readSpeakerFile } from "../../../../src/bgp/standalone/speaker-file.ts";

const passwords: Readonly<Record<string, { readonly text: string; readonly mode: number }>> = {
  "/etc/k": { text: "tell no one\n", mode: 0o100600 },
  "/etc/tortie/near": { text: "near", mode: 0o100600 },
  "/etc/open": { text: "x", mode: 0o100644 },
  "/etc/empty": { text: "\n", mode: 0o100600 },
  "/etc/long": { text: "x".repeat(81), mode: 0o100600 },
};

const files: Files = {
  folder: "/etc/tortie",
  read: (path) => {
    const file = passwords[path];
    if (file === undefined) throw new Error(`ENOENT: no such file or directory, open '${path}'`);
    return file;
  },
};

/** The file that issue 3 gives. */
const example = `asn: 64512
routerId: 10.0.0.1
clusterId: 10.0.0.1            # optional
listen: [{address: 10.0.0.1, port: 179}]
kernel: {install: false}       # or {install: true, table: 254}
originate: [{prefix: 10.65.0.0/26, nextHop: self, communities: ["64512:1"]}]
neighbors:
  - {address: 10.0.0.2, asn: 64512, passive: false, password: {file: /etc/k}, families: [ipv4-unicast, ipv6-unicast]}
  - {prefix: 172.30.0.0/16, asn: 64512, passive: true, routeReflectorClient: true}   # dynamic neighbours
`;

function problemsOf(text: string): readonly string[] {
  const result = readSpeakerFile(text, files);
  return "problems" in result ? result.problems.map((each) => problemText("s.yaml", each)) : [];
}

function configOf(text: string) {
  const result = readSpeakerFile(text, files);
  assert.ok("file" in result, JSON.stringify(result));
  return result.file.config;
}

describe("readSpeakerFile", () => {
  test("the example gives a peer, a dynamic neighbor and a route", () => {
    const config = configOf(example);
    const [peer] = config.peers;
    const [dynamic] = config.dynamicPeers ?? [];
    assert.deepEqual(
      [config.asn, config.routerId, config.clusterId, config.install],
      [64512, 0x0a000001, 0x0a000001, false],
    );
    assert.deepEqual([config.listenAddresses, config.listenPort], [["10.0.0.1"], 179]);
    assert.deepEqual(config.originatedRoutes, [
      { prefix: "10.65.0.0/26", nextHop: "self", communities: [0xfc000001], localPref: 100 },
    ]);
    assert.equal(peer?.type, "Static");
    assert.equal(peer?.origin, "neighbors[0]");
    assert.equal(peer?.config.name, "Static_10_0_0_2");
    assert.equal(peer?.config.password?.reveal(), "tell no one");
    assert.deepEqual(peer?.config.families, [4, 6]);
    assert.equal(peer?.policy.exportScope, "all");
    assert.equal(dynamic?.peers.prefix, "172.30.0.0/16");
    assert.deepEqual(dynamic?.peers.template.reflectorClient, { clusterId: 0x0a000001 });
  });

  test("the password is in no text of the configuration", () => {
    assert.doesNotMatch(JSON.stringify(configOf(example)), /tell no one/);
  });

  test("the cluster is the router where there are clients, and none where there are not", () => {
    const file = (client: string) =>
      `{asn: 1, routerId: 1.2.3.4, neighbors: [{address: 10.0.0.2, asn: 1${client}}]}`;
    assert.equal(configOf(file(", routeReflectorClient: true")).clusterId, 0x01020304);
    assert.equal(configOf(file("")).clusterId, undefined);
  });

  test("without listen, all addresses of the families of the neighbors", () => {
    const file = (neighbor: string) =>
      `{asn: 1, routerId: 1.2.3.4, neighbors: [{${neighbor}, asn: 1}]}`;
    assert.deepEqual(configOf(file("address: 10.0.0.2")).listenAddresses, ["0.0.0.0"]);
    assert.deepEqual(configOf(file("prefix: 'fd00::/64'")).listenAddresses, ["::"]);
    assert.deepEqual(configOf("{asn: 1, routerId: 1.2.3.4, listen: []}").listenAddresses, []);
  });

  test("collectors and files of messages arrive", () => {
    const read = readSpeakerFile(
      `{asn: 1, routerId: 1.2.3.4, bmp: [{address: 10.0.0.9, port: 11019}], mrt: {messages: m.mrt}}`,
      files,
    );
    assert.ok("file" in read);
    assert.deepEqual(read.file.bmp, [{ address: "10.0.0.9", port: 11019 }]);
    assert.deepEqual(read.file.mrt, { messages: "m.mrt" });
  });

  test("every knob of a neighbor arrives", () => {
    const config = configOf(`
asn: 4200000000
routerId: 10.0.0.1
bmp: [{address: 10.0.0.9, port: 11019}]
metrics: {address: 127.0.0.1}
kernel: {install: true, table: 100, metric: 50, maxPaths: 4}
filters:
  customers:
    - match: {prefix: 10.0.0.0/8, operator: in, minLength: 16, maxLength: 24}
      communities: ["64512:7", "1:2:3", no-export]
      asPathPrefix: [64513]
      peerType: eBGP
      action: accept
      operations: [{addCommunity: "64512:9"}, {prependAsPath: [1, 1]}, {setLocalPref: 200}, {setMed: 5}]
    - {family: ipv6-unicast, source: remotePeers, interface: eth*, priority: 7, action: reject}
neighbors:
  - name: tor1
    address: fe80::1
    zone: eth0
    port: 1790
    asn: 1.10
    localAs: 65000
    localAddress: fe80::2
    holdSeconds: 9
    keepaliveSeconds: 3
    connectRetrySeconds: 2
    delayOpenSeconds: 1
    idleHoldSeconds: 20
    description: top of rack
    gracefulRestartSeconds: 60
    longLivedStaleSeconds: 3600
    ttlSecurityHops: 1
    bfd: {minReceiveMs: 100}
    addPath: {ipv4-unicast: both}
    addPathLimit: 4
    extendedMessages: false
    extendedNextHop: true
    shutdown: {message: maintenance}
    password: {file: near}
    nextHop: self
    allowedLocalAs: 1
    importFilters: [customers]
    exportFilters: [customers]
    maxPrefixes: {ipv4-unicast: {limit: 100, onExceed: warn, restartSeconds: 30}}
    defaultOriginate: [ipv4-unicast]
`);
    assert.deepEqual(
      [config.table, config.maxPaths, config.normalPriority],
      [100, 4, { 4: 50, 6: 50 }],
    );
    const [peer] = config.peers;
    assert.ok(peer !== undefined);
    const { password, ...session } = peer.config;
    assert.equal(password?.reveal(), "near");
    assert.equal(peer.description, "top of rack");
    assert.deepEqual(session, {
      name: "tor1",
      address: "fe80::1",
      zone: "eth0",
      port: 1790,
      remoteAs: 65546,
      localAs: 65000,
      localRouterId: 0x0a000001,
      localAddress: "fe80::2",
      passive: false,
      holdSeconds: 9,
      keepaliveSeconds: 3,
      connectRetrySeconds: 2,
      delayOpenSeconds: 1,
      idleHoldSeconds: 20,
      families: [6],
      gracefulRestartSeconds: 60,
      longLivedStaleSeconds: 3600,
      ttlSecurityHops: 1,
      bfd: { minReceiveMs: 100, minTransmitMs: 300, multiplier: 3, multihop: false },
      addPath: { 4: "both" },
      extendedMessages: false,
      extendedNextHop: true,
      shutdown: { message: "maintenance" },
    });
    const { importFilters, exportFilters, ...policy } = peer.policy;
    assert.deepEqual(policy, {
      nextHopMode: "Self",
      allowedLocalAs: 1,
      exportScope: "all",
      maxPrefixes: { 4: { limit: 100, warnPercent: 75, onExceed: "warn", restartSeconds: 30 } },
      defaultOriginate: [4],
      addPathLimit: 4,
    });
    assert.deepEqual(importFilters, exportFilters);
    assert.deepEqual(importFilters?.[0], {
      name: "customers",
      rules: [
        {
          match: { prefix: "10.0.0.0/8", operator: "in", minLength: 16, maxLength: 24 },
          communities: [0xfc000007, [1, 2, 3], 0xffffff01],
          asPathPrefix: [64513],
          peerType: "eBGP",
          action: "accept",
          operations: [
            { kind: "addCommunity", community: 0xfc000009 },
            { kind: "prependAsPath", asns: [1, 1] },
            { kind: "setLocalPref", localPref: 200 },
            { kind: "setMed", med: 5 },
          ],
        },
        { family: 6, source: "remotePeers", interface: "eth*", priority: 7, action: "reject" },
      ],
    });
  });

  test("an anchor stands for what it names", () => {
    const config = configOf(`
asn: 64512
routerId: 10.0.0.1
neighbors:
  - {address: 10.0.0.2, asn: 64512, families: &both [ipv4-unicast, ipv6-unicast]}
  - {address: 10.0.0.3, asn: 64512, families: *both}
`);
    assert.deepEqual(config.peers[1]?.config.families, [4, 6]);
  });
});

/** A file with these neighbors from line 3 on. */
const withNeighbors = (...neighbors: readonly string[]) =>
  [
    "asn: 64512",
    "routerId: 10.0.0.1",
    "neighbors:",
    ...neighbors.map((each) => `  - {${each}}`),
  ].join("\n");

const mistakes: readonly (readonly [name: string, text: string, problems: readonly string[]])[] = [
  [
    "bad ASN",
    withNeighbors(
      "address: 10.0.0.2, asn: 4294967296",
      "address: 10.0.0.3, asn: many",
      "address: 10.0.0.4, asn: 0",
    ),
    [
      "s.yaml:4: neighbors[0].asn: must be an AS number: 1 to 4294967294, or as in 1.10 (4294967296)",
      "s.yaml:5: neighbors[1].asn: must be an AS number: 1 to 4294967294, or as in 1.10 (many)",
      "s.yaml:6: neighbors[2].asn: must be 1 to 4294967294 (0)",
    ],
  ],
  [
    "the same address twice",
    withNeighbors(
      "address: 10.0.0.2, asn: 1",
      "address: 10.0.0.2, asn: 2",
      "address: 10.0.0.2, port: 1790, asn: 2",
    ),
    [
      "s.yaml:5: neighbors[1].address: overlaps neighbors[0] on line 4, which has the same address and port (10.0.0.2)",
      "s.yaml:6: neighbors[2].address: overlaps neighbors[0] on line 4, which has the same address (10.0.0.2)",
      "s.yaml:6: neighbors[2].address: overlaps neighbors[1] on line 5, which has the same address (10.0.0.2)",
    ],
  ],
  [
    "overlapping prefixes",
    withNeighbors(
      "prefix: 172.30.0.0/16, asn: 1",
      "prefix: 172.30.4.0/24, asn: 1",
      "prefix: 172.31.0.0/16, asn: 1",
    ),
    [
      "s.yaml:5: neighbors[1].prefix: overlaps neighbors[0], 172.30.0.0/16 on line 4 (172.30.4.0/24)",
    ],
  ],
  [
    "unknown key, with what is like it",
    "asn: 1\nrouterId: 10.0.0.1\nneighbours: []\nfrobnicate: 1\n",
    [
      's.yaml:3: neighbours: unknown key, did you mean "neighbors"? (neighbours)',
      "s.yaml:4: frobnicate: unknown key (frobnicate)",
    ],
  ],
  [
    "unreadable password file",
    withNeighbors(
      "address: 10.0.0.2, asn: 1, password: {file: /etc/none}",
      "address: 10.0.0.3, asn: 1, password: {file: /etc/open}",
      "address: 10.0.0.4, asn: 1, password: {file: /etc/empty}",
      "address: 10.0.0.5, asn: 1, password: {file: /etc/long}",
    ),
    [
      "s.yaml:4: neighbors[0].password.file: cannot be read: ENOENT: no such file or directory (/etc/none)",
      "s.yaml:5: neighbors[1].password.file: may be read or written by others than its owner (mode 0644) (/etc/open)",
      "s.yaml:6: neighbors[2].password.file: is empty (/etc/empty)",
      "s.yaml:7: neighbors[3].password.file: holds 81 octets, more than 80 (/etc/long)",
    ],
  ],
  [
    "a password in the file itself is refused and not repeated",
    withNeighbors("address: 10.0.0.2, asn: 1, password: hunter2"),
    ["s.yaml:4: neighbors[0].password: must be {file: PATH}: a password itself must not be here"],
  ],
  [
    "bad prefix",
    "asn: 1\nrouterId: 10.0.0.1\noriginate:\n  - {prefix: 10.0.0.1/24}\n  - {prefix: 10.0.0.0/33}\n  - {prefix: ten}\n",
    [
      "s.yaml:4: originate[0].prefix: host bits are set, did you mean 10.0.0.0/24 (10.0.0.1/24)",
      "s.yaml:5: originate[1].prefix: its length must be 0 to 32 (10.0.0.0/33)",
      "s.yaml:6: originate[2].prefix: must be a prefix as in 10.0.0.0/24 (ten)",
    ],
  ],
  [
    "missing fields",
    "neighbors:\n  - {asn: 1}\n  - {address: 10.0.0.2}\n",
    [
      "s.yaml:1: asn is missing",
      "s.yaml:1: routerId is missing",
      "s.yaml:2: neighbors[0]: address or prefix is missing",
      "s.yaml:3: neighbors[1]: asn is missing",
    ],
  ],
  [
    "wrong types",
    "asn: [1]\nrouterId: ten\nlisten: {}\nneighbors:\n  - 7\n  - {address: 10.0.0.2, asn: 1, passive: maybe, holdSeconds: 2, families: [ipv5]}\n",
    [
      "s.yaml:1: asn: must be an AS number",
      "s.yaml:2: routerId: must be as in 10.0.0.1 (ten)",
      "s.yaml:3: listen: must be a list",
      "s.yaml:5: neighbors[0]: must be a map (7)",
      "s.yaml:6: neighbors[1].passive: must be true or false (maybe)",
      "s.yaml:6: neighbors[1].holdSeconds: must be 0, or 3 to 65535 (2)",
      "s.yaml:6: neighbors[1].families[0]: must be one of ipv4-unicast, ipv6-unicast (ipv5)",
    ],
  ],
  [
    "what only neighbors with an address have",
    withNeighbors("prefix: 10.1.0.0/16, asn: 1, name: a, port: 1790, connectRetrySeconds: 1"),
    [
      "s.yaml:4: neighbors[0].name: is for neighbors with an address (a)",
      "s.yaml:4: neighbors[0].port: is for neighbors with an address (1790)",
      "s.yaml:4: neighbors[0].connectRetrySeconds: is for neighbors with an address (1)",
    ],
  ],
  ["what YAML itself refuses", "asn: 1\nasn: 2\n", ["s.yaml:2: Map keys must be unique"]],
  ["an empty file", "", ["s.yaml:1: must be a map"]],
  [
    "a filter that is not there",
    "filters: {customers: [{action: accept}]}\nasn: 1\nrouterId: 1.1.1.1\nneighbors:\n  - {address: 10.0.0.2, asn: 1, importFilters: [customer]}\n",
    [
      's.yaml:5: neighbors[0].importFilters[0]: there is no such filter, did you mean "customers"? (customer)',
    ],
  ],
  [
    "clients of another AS, passive prefixes, and our own address",
    "asn: 1\nrouterId: 1.1.1.1\nlisten: [{address: 10.0.0.1}]\nneighbors:\n  - {address: 10.0.0.2, asn: 2, routeReflectorClient: true}\n  - {prefix: 10.1.0.0/16, asn: 1, passive: false}\n  - {address: 10.0.0.1, asn: 1}\n  - {address: 'fe80::1', asn: 1}\n",
    [
      "s.yaml:5: neighbors[0].routeReflectorClient: a client must be of our AS 1 (2)",
      "s.yaml:6: neighbors[1].passive: neighbors with a prefix are passive (false)",
      "s.yaml:7: neighbors[2].address: is where we listen ourselves, with port 179 (10.0.0.1)",
      "s.yaml:8: neighbors[3].address: a link-local address needs zone, the name of its interface (fe80::1)",
    ],
  ],
];

describe("mistakes in the speaker's file", () => {
  for (const [name, text, problems] of mistakes) {
    test(name, () => assert.deepEqual(problemsOf(text), problems));
  }
});
