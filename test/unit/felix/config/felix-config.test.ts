import { strict as assert } from "node:assert";
import { test } from "node:test";
import { felixConfig } from "../../../../src/felix/config/felix-config.ts";
import { allParameters } from "../../../../src/felix/config/parameters.ts";
import { InputError } from "../../../../src/lib/errors.ts";
import { felixParameters } from "../../api/felix-parameters.ts";

test("felixConfig() of nothing has Calico's defaults", () => {
  const config = felixConfig({ env: {} });
  assert.deepEqual(config.interfacePrefixes, ["cali"]);
  assert.equal(config.iptablesBackend, "auto");
  assert.equal(config.chainInsertMode, "insert");
  const refreshMs = { routes: 90_000, ipSets: 90_000, iptables: 180_000, interfaces: 90_000 };
  assert.deepEqual(config.refreshMs, refreshMs);
  assert.equal(config.vxlanPort, 4789);
  assert.equal(config.vxlanVni, 4096);
  assert.deepEqual(config.vxlanMtu, { 4: 0, 6: 0 });
  assert.equal(config.deviceRouteProtocol, 3);
  assert.equal(config.programClusterRoutes, "EnabledIPIPOnly");
  assert.equal(config.endpointStatusFolder, "/var/run/calico/endpoint-status");
  assert.equal(config.rules.defaultEndpointToHostAction, "DROP");
  assert.equal(config.rules.filterAllowAction, "ACCEPT");
  assert.deepEqual(config.rules.marks, {
    accept: 0x10000,
    pass: 0x20000,
    drop: 0x40000,
    scratch0: 0x80000,
    scratch1: 0x100000,
    wireguard: 0x200000,
  });
});

test("felixConfig() takes the environment before the node, the node before the cluster", () => {
  const global = { vxlanPort: 1, vxlanVNI: 1, vxlanMTU: 1400 };
  const node = { vxlanPort: 2, vxlanVNI: 2 };
  const config = felixConfig({ global, node, env: { FELIX_VXLANPORT: "3" } });
  assert.equal(config.vxlanPort, 3);
  assert.equal(config.rules.vxlanPort, 3);
  assert.equal(config.vxlanVni, 2);
  assert.equal(config.vxlanMtu[4], 1400);
});

test("felixConfig() counts an empty value as not given", () => {
  const config = felixConfig({ global: { vxlanPort: 1 }, env: { FELIX_VXLANPORT: "" } });
  assert.equal(config.vxlanPort, 1);
});

test("felixConfig() names what was given and nothing acts on, whoever gave it", () => {
  const { ignored } = felixConfig({
    global: { bpfEnabled: true, vxlanPort: 1, usageReportingEnabled: false },
    node: { bpfEnabled: false, xdpEnabled: true, nodeSelector: "all()" },
    env: {
      FELIX_VXLANPORT: "3",
      FELIX_XDPREFRESHINTERVAL: "90",
      FELIX_USAGEREPORTINGENABLED: "",
      FELIX_HEALTHENABLED: "true",
      OTHER: "1",
    },
  });
  assert.deepEqual(ignored, [
    "bpfEnabled",
    "usageReportingEnabled",
    "xdpEnabled",
    "FELIX_XDPREFRESHINTERVAL",
  ]);
});

test("felixConfig() takes any parameter of Calico's: what does not act is named, no more", () => {
  for (const [name, accepted] of felixParameters) {
    const { ignored } = felixConfig({ global: { [name]: accepted }, env: {} });
    assert.ok(ignored.length === 0 || ignored[0] === name, name);
  }
  const all = Object.fromEntries(felixParameters);
  const { ignored } = felixConfig({ global: all, env: {} });
  assert.ok(ignored.includes("xdpEnabled") && !ignored.includes("vxlanPort"));
});

const durations: readonly (readonly [unknown, number])[] = [
  ["90", 90_000],
  [0.5, 500],
  ["1m30s", 90_000],
  ["500ms", 500],
  ["1h", 3_600_000],
  ["0s", 0],
];
for (const [given, milliseconds] of durations) {
  test(`felixConfig() reads the duration ${given} as ${milliseconds} ms`, () => {
    const config = felixConfig({ global: { routeRefreshInterval: given }, env: {} });
    assert.equal(config.refreshMs.routes, milliseconds);
  });
}

const wrong: readonly (readonly [name: string, value: string, instead: string])[] = [
  ["vxlanPort", "0", "4789"],
  ["vxlanPort", "65536", "4789"],
  ["vxlanPort", "47x", "4789"],
  ["vxlanVNI", "16777216", "4096"],
  ["iptablesBackend", "ipfw", "auto"],
  ["routeRefreshInterval", "90 s", "90s"],
  ["routeRefreshInterval", "s", "90s"],
  ["natPortRange", "5:1", "0"],
  ["natOutgoingAddress", "example.com", "none"],
  ["natOutgoingAddress", "fd00::1", "none"],
  ["removeExternalRoutes", "perhaps", "true"],
];
for (const [name, value, instead] of wrong) {
  test(`felixConfig() says that ${name} cannot be "${value}", and takes its default`, () => {
    const { problems, ...config } = felixConfig({ global: { [name]: value }, env: {} });
    const { problems: none, ...fallback } = felixConfig({ env: {} });
    assert.deepEqual(config, fallback);
    assert.deepEqual(none, []);
    assert.equal(problems.length, 1);
    assert.ok(problems[0]?.includes(`${name} "${value}"`), problems[0]);
    assert.ok(problems[0]?.endsWith(`; ${instead} acts instead`), problems[0]);
  });
}

const refused: readonly (readonly [string, string])[] = [
  ["interfacePrefix", "cali,"],
  ["interfacePrefix", "cali/../x"],
  ["defaultEndpointToHostAction", "MAYBE"],
  ["chainInsertMode", "none"],
  ["iptablesMarkMask", "0xf0000"],
];
for (const [name, value] of refused) {
  test(`felixConfig() refuses ${name} "${value}", as Calico does, and says so`, () => {
    assert.throws(
      () => felixConfig({ global: { [name]: value }, env: {} }),
      (error: unknown) =>
        error instanceof InputError && error.message.includes(`${name} "${value}"`),
    );
  });
}

test("felixConfig() reads the variables by Calico's names, in any case of letters", () => {
  const env = {
    Felix_IptablesRefreshInterval: "7",
    FELIX_VXLANMTU: "1400",
    felix_ipv6support: "no",
  };
  const config = felixConfig({ env });
  assert.equal(config.refreshMs.iptables, 7000);
  assert.equal(config.vxlanMtu[4], 1400);
  assert.equal(config.ipv6Support, false);
  assert.deepEqual(config.ignored, []);
  const other = felixConfig({ env: { FELIX_IPINIPMTU: "1480", FELIX_IPIPMTU: "1480" } });
  assert.deepEqual(other.ignored, ["FELIX_IPIPMTU"]);
  assert.equal(other.ipipMtu, 1480);
});

test("felixConfig() takes none as off", () => {
  const off = { endpointStatusPathPrefix: "none", routeRefreshInterval: "None" };
  const config = felixConfig({ global: off, env: { FELIX_FAILSAFEINBOUNDHOSTPORTS: "none" } });
  assert.equal(config.endpointStatusFolder, undefined);
  assert.equal(config.refreshMs.routes, 0);
  assert.deepEqual(config.rules.failsafeInbound, []);
});

test("every default is a value of its type", () => {
  for (const [name, { type, default: fallback }] of Object.entries(allParameters)) {
    if (fallback === "" || fallback === "none") continue;
    assert.doesNotThrow(() => type.parse(fallback), name);
  }
});

test("felixConfig() takes choices in any case, as Calico does", () => {
  const env = { FELIX_DEFAULTENDPOINTTOHOSTACTION: "accept", FELIX_IPTABLESBACKEND: "NFT" };
  const config = felixConfig({ env });
  assert.equal(config.rules.defaultEndpointToHostAction, "ACCEPT");
  assert.equal(config.iptablesBackend, "nft");
});

test("felixConfig() reads a mark mask in hexadecimal, and prefixes parted by commas", () => {
  const env = { FELIX_IPTABLESMARKMASK: "0xff00", FELIX_INTERFACEPREFIX: "cali,tap" };
  const config = felixConfig({ env });
  assert.equal(config.rules.marks.accept, 0x100);
  assert.deepEqual(config.rules.workloadInterfacePrefixes, ["cali", "tap"]);
});

test("failsafe ports, as text and as a resource has them", () => {
  const inbound = (text: unknown) =>
    felixConfig({ global: { failsafeInboundHostPorts: text }, env: {} }).rules.failsafeInbound;
  const tcp = (port: number) => ({ protocol: "tcp", port });
  assert.deepEqual(inbound(undefined).slice(0, 3), [
    tcp(22),
    { protocol: "udp", port: 68 },
    tcp(179),
  ]);
  assert.deepEqual(inbound("none"), []);
  assert.deepEqual(inbound([]), []);
  assert.deepEqual(inbound("22, UDP:68,tcp:10.1.2.3/8:80,udp:[2001:db8::]/32:53"), [
    tcp(22),
    { protocol: "udp", port: 68 },
    { ...tcp(80), net: "10.0.0.0/8" },
    { protocol: "udp", port: 53, net: "2001:db8::/32" },
  ]);
  assert.deepEqual(
    inbound([
      { protocol: "tcp", port: 22 },
      { port: 80, net: "10.0.0.1" },
    ]),
    [tcp(22), { ...tcp(80), net: "10.0.0.1/32" }],
  );
  for (const wrong of ["ssh", "tcp:", "icmp:1", "tcp:0", "tcp:70000", "tcp:300.0.0.0/8:1", [{}]]) {
    assert.throws(() => inbound(wrong), /failsafeInboundHostPorts/, JSON.stringify(wrong));
  }
});

test("felixConfig() tells of denials only when asked to, and limits what is told", () => {
  assert.equal(felixConfig({ env: {} }).rules.denialLogLimit, undefined);
  assert.equal(felixConfig({ env: {} }).rules.logActionLimit, undefined);
  const { rules } = felixConfig({
    global: { policyDenialLogs: "Enabled", logActionRateLimit: "10/minute" },
    env: { FELIX_POLICYDENIALLOGRATELIMITBURST: "7" },
  });
  assert.deepEqual(rules.denialLogLimit, { rate: "100/second", burst: 7 });
  assert.deepEqual(rules.logActionLimit, { rate: "10/minute", burst: 5 });
  const { problems } = felixConfig({ env: { FELIX_LOGACTIONRATELIMIT: "10" } });
  assert.match(problems.join(), /logActionRateLimit "10"/);
});
