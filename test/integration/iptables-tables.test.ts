import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, describe, test } from "node:test";
import koffi from "koffi";
import { kernelSetName } from "../../src/api/names.ts";
import { anyEntity } from "../../src/felix/calc/rule-scanner.ts";
import type { ActivePolicy, LocalEndpoint } from "../../src/felix/calc/updates.ts";
import { HostEndpointManager } from "../../src/felix/dataplane/host-endpoint-manager.ts";
import { dispatchChains } from "../../src/felix/rules/dispatch-chains.ts";
import { egressDscpChain } from "../../src/felix/rules/dscp-chain.ts";
import { rpfSkipChain, workloadEndpointChains } from "../../src/felix/rules/endpoint-chains.ts";
import {
  cidrBlockChain,
  floatingIpChains,
  natOutgoingChain,
  staticNatChains,
} from "../../src/felix/rules/nat-chains.ts";
import { policyChains, profileChains } from "../../src/felix/rules/policy-chains.ts";
import { endpointGroupChains } from "../../src/felix/rules/policy-groups.ts";
import { defaultRulesConfig, type RulesConfig } from "../../src/felix/rules/rules-config.ts";
import {
  kernelChainRules,
  staticMangleChains,
  staticRawChains,
} from "../../src/felix/rules/static-chains.ts";
import { staticFilterChains } from "../../src/felix/rules/static-filter-chains.ts";
import { type ExecHelper, startExecHelper } from "../../src/kernel/exec-helper.ts";
import { detectBackend, type IptablesBackend } from "../../src/kernel/iptables/backend.ts";
import { type Chain, type TableName, tableNames } from "../../src/kernel/iptables/model.ts";
import { TableMemory } from "../../src/kernel/iptables/table-memory.ts";
import { restoreTexts } from "../../src/kernel/iptables/table-plan.ts";
import { IptablesError, IptablesTable } from "../../src/kernel/iptables/tables.ts";
import { watchTables } from "../../src/kernel/iptables/watch-tables.ts";
import { openNftGeneration } from "../../src/kernel/nft-generation.ts";
import type { IpAddr, IpFamily } from "../../src/lib/ip-addr.ts";
import type { Prefix } from "../../src/lib/prefix.ts";

/**
 * The whole rule set of a node, against the real iptables of both variants. This process moves into
 * a network namespace of its own at once, and what it starts with it: the namespace ends with them.
 */

const CLONE_NEWNET = 0x40000000;
const unshare = koffi.load("libc.so.6").func("int unshare(int)");

const config: RulesConfig = {
  ...defaultRulesConfig,
  ipipEnabled: true,
  ipipDevice: "tunl0",
  vxlanEnabled: { 4: true, 6: true },
  vxlanDevice: { 4: "vxlan.calico", 6: "vxlan-v6.calico" },
  logActionLimit: { rate: "10/minute", burst: 5 },
  denialLogLimit: { rate: "100/second", burst: 100 },
};

const clients = "s:g_TM4cHGncRYRKupcms5_3mlb7DhnbSzVvsVlw";
const namedPort = "n:ac_JrbZRp5ORL-z9cQxMyVpA98RIhLpq9rkrXg";

function policy(name: string, selector: string): ActivePolicy {
  return {
    tier: "default",
    shortKind: "np",
    namespace: "default",
    name,
    selector,
    types: ["Ingress", "Egress"],
    ingress: [
      {
        action: "allow",
        protocol: "tcp",
        source: { ...anyEntity, ipSets: [clients] },
        destination: { ...anyEntity, ports: [{ first: 80, last: 80 }] },
        annotations: { 'quote"s': 'new\nline "; -j ACCEPT\0 \u{1f408}' },
      },
      {
        action: "deny",
        protocol: "udp",
        source: {
          ...anyEntity,
          nets: ["10.0.0.0/8", "172.16.0.0/12", "fd00::/8", "fe80::/10"] as Prefix[],
          notNets: ["10.1.0.0/16", "fd01::/16"] as Prefix[],
        },
        destination: {
          ...anyEntity,
          namedPortSets: [namedPort],
          ports: Array.from({ length: 20 }, (_, i) => ({
            first: 1000 + 10 * i,
            last: 1000 + 11 * i,
          })),
          notIpSets: [clients],
        },
      },
      {
        action: "log",
        protocol: "icmp",
        icmp: { type: 8, code: 0 },
        source: anyEntity,
        destination: anyEntity,
      },
      {
        action: "log",
        protocol: "icmpv6",
        icmp: { type: 128 },
        source: anyEntity,
        destination: anyEntity,
      },
    ],
    egress: [{ action: "pass", notProtocol: "sctp", source: anyEntity, destination: anyEntity }],
  };
}

const ids = ["np/default/one", "np/default/two", "np/default/three"];
const policies = new Map([
  ["np/default/one", policy("one", "app == 'web'")],
  ["np/default/two", policy("two", "app == 'web'")],
  ["np/default/three", policy("three", "all()")],
]);

const endpoints: LocalEndpoint[] = ["cali0d7763386da", "cali0aaaaaaaaaa", "cali7f94ce7c295"].map(
  (interfaceName) => ({
    interfaceName,
    addresses: ["10.244.10.5", "fd00::5"] as IpAddr[],
    tiers: [{ name: "default", defaultAction: "Deny", ingress: ids, egress: ids }],
    profiles: ["kns.default", "ksa.kube-system.coredns"],
    allowedSourcePrefixes: ["192.0.2.0/24", "2001:db8::/32"] as Prefix[],
    floating: [
      { internal: "10.244.10.5", external: "192.0.2.5" },
      { internal: "fd00::5", external: "2001:db8::5" },
    ] as unknown as LocalEndpoint["floating"],
    qos: {
      ingress: { packets: { rate: 10_000, burst: 10_000 }, maxConnections: 0xffffffff },
      egress: { packets: { rate: 1, burst: 1 }, maxConnections: 1 },
      dscp: 46,
    },
  }),
);

const hosts = new HostEndpointManager();
const hostTiers = [{ name: "default", defaultAction: "Deny", ingress: ids, egress: ids }] as const;
const host = {
  expectedAddresses: [],
  profiles: ["kns.default"],
  tiers: hostTiers,
  forwardTiers: hostTiers,
  untrackedTiers: hostTiers,
  preDnatTiers: hostTiers,
};
for (const interfaceName of ["eth0", "eth1", "*"]) {
  const value = { ...host, interfaceName };
  hosts.onUpdate({ op: "set", kind: "hostEndpoint", id: `host ${interfaceName}`, value });
}
hosts.resolve(new Map());

function policyChainsOf(family: IpFamily): Chain[] {
  return [
    ...[...policies].flatMap(([id, value]) => policyChains(id, value, { config, family })),
    ...["kns.default", "ksa.kube-system.coredns", "unused"].flatMap((id) =>
      profileChains(id, { ingress: [], egress: [allowAll] }, { config, family }),
    ),
  ];
}

function chainsOf(table: TableName, family: IpFamily): Chain[] {
  switch (table) {
    case "raw":
      return [
        ...staticRawChains(config, family),
        rpfSkipChain(endpoints, family),
        ...hosts.rawChains({ policies, config }),
        ...policyChainsOf(family),
      ];
    case "mangle":
      return [
        ...staticMangleChains(config, family),
        egressDscpChain(endpoints, family),
        ...hosts.mangleChains({ policies, config }),
        ...policyChainsOf(family),
      ];
    case "nat":
      return [
        ...staticNatChains(config, family),
        ...floatingIpChains(endpoints, family),
        natOutgoingChain(true, config, family),
      ];
    case "filter":
      return [
        ...staticFilterChains(config, family),
        ...dispatchChains(
          endpoints.map(({ interfaceName }) => interfaceName),
          config,
        ),
        ...endpoints.flatMap((endpoint) => [
          ...workloadEndpointChains(endpoint, policies, config),
          ...endpointGroupChains(endpoint.tiers, policies, config),
        ]),
        ...hosts.filterChains({ policies, config }),
        ...policyChainsOf(family),
        cidrBlockChain(["10.96.0.0/12", "fd96::/108"] as Prefix[], config, family),
      ];
  }
}

const allowAll = { action: "allow", source: anyEntity, destination: anyEntity } as const;

function fill(table: IptablesTable): void {
  table.setChains(chainsOf(table.table, table.family));
  const { insertions, appends } = kernelChainRules(table.table, config);
  for (const [chain, rules] of insertions) table.setInsertions(chain, rules);
  for (const [chain, rules] of appends) table.setAppends(chain, rules);
}

function tool(program: string, args: readonly string[], input = ""): string {
  return execFileSync(program, args, { input, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });
}

async function until(done: () => boolean, timeoutMs: number): Promise<number> {
  const start = performance.now();
  while (!done()) {
    assert.ok(performance.now() - start < timeoutMs, `not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return performance.now() - start;
}

for (const kind of ["nft", "legacy"] as const) {
  describe(`iptables-${kind}`, () => {
    let exec: ExecHelper;
    let backend: IptablesBackend;
    const tables: IptablesTable[] = [];

    const save = (family: IpFamily, table: TableName): string =>
      tool(`${family === 4 ? "iptables" : "ip6tables"}-${kind}-save`, ["-t", table])
        .split("\n")
        .filter(
          (line) => line.startsWith("-") || (line.startsWith(":") && !line.startsWith(":cali")),
        )
        .map((line) => line.replace(/ \[.*/, ""))
        .join("\n");
    const command = (family: IpFamily, ...args: string[]): string =>
      tool(`${family === 4 ? "iptables" : "ip6tables"}-${kind}`, args);
    const tableOf = (name: TableName, family: IpFamily): IptablesTable => {
      const found = tables.find((one) => one.table === name && one.family === family);
      assert.ok(found);
      return found;
    };

    before(async () => {
      assert.equal(unshare(CLONE_NEWNET), 0, "needs root");
      exec = startExecHelper();
      backend = await detectBackend(exec, kind);
      for (const family of [4, 6] as const) {
        for (const table of tableNames) {
          tables.push(new IptablesTable({ table, family, backend }, { exec }));
        }
      }
      tables.forEach(fill);
      const sets = new Set(tables.flatMap((table) => [...table.neededSets()]));
      assert.ok(sets.has(kernelSetName(clients, 4)) && sets.has(kernelSetName(namedPort, 6)));
      for (const set of sets) {
        const type = set.includes("0n:") ? "hash:ip,port" : "hash:net";
        tool("ipset", ["create", set, type, "family", set.startsWith("cali4") ? "inet" : "inet6"]);
      }
    });

    after(() => exec.close());

    test("the rule set loads, and a second apply writes nothing", async () => {
      for (const table of tables) {
        const plan = await table.plan();
        assert.ok(plan.write.length > 0);
        const [text = ""] = restoreTexts(plan, false);
        const program = `${table.family === 4 ? "iptables" : "ip6tables"}-${kind}-restore`;
        tool(program, ["--noflush", "--test"], text);
        assert.deepEqual(await table.apply(), plan);
        table.invalidate();
        assert.equal(await table.apply(), undefined, `${table.table} ${table.family}`);
        assert.equal(table.dirty, false);
      }
    });

    test("rules carry their hashes, and no unused chain is there", () => {
      const filter = save(4, "filter");
      const foreign = filter
        .split("\n")
        .filter((line) => line.startsWith("-A") && !line.includes("cali:"));
      assert.deepEqual(foreign, []);
      assert.ok(!filter.includes("unused"));
      assert.match(filter, /-A cali-tw-cali0d7763386da -m comment --comment "cali:[\w-]{16}"/);
      assert.match(save(4, "nat"), /-j MASQUERADE --to-ports 4790-65535 --random-fully/);
    });

    test("foreign rules stay where they are, ours go around them", async () => {
      command(4, "-I", "FORWARD", "-s", "198.51.100.1", "-j", "DROP");
      command(4, "-A", "FORWARD", "-s", "198.51.100.2", "-j", "DROP");
      const filter = tableOf("filter", 4);
      filter.invalidate();
      assert.ok(await filter.apply());
      const forward = save(4, "filter")
        .split("\n")
        .filter((line) => line.startsWith("-A FORWARD"));
      assert.deepEqual(
        forward.map((line) =>
          line.includes("198.51.100") ? "foreign" : line.replace(/.*-j /, ""),
        ),
        ["cali-FORWARD", "foreign", "foreign", "ACCEPT", "MARK --set-xmark 0x10000/0x10000"],
      );
    });

    test("an unknown chain of ours goes, one that somebody else uses is emptied", async () => {
      const filter = tableOf("filter", 6);
      command(6, "-N", "cali-old");
      command(6, "-N", "cali-held");
      command(6, "-A", "cali-old", "-j", "cali-held");
      command(6, "-A", "cali-held", "-j", "DROP");
      command(6, "-A", "FORWARD", "-s", "2001:db8::1", "-j", "cali-held");
      filter.invalidate();
      await filter.apply();
      const saved = tool(`ip6tables-${kind}-save`, ["-t", "filter"]);
      assert.ok(!saved.includes("cali-old"));
      assert.ok(saved.includes(":cali-held") && !saved.includes("-A cali-held"));
      filter.invalidate();
      assert.equal(await filter.apply(), undefined);
    });

    test("one changed chain is one rewritten chain", async () => {
      const filter = tableOf("filter", 4);
      const before = save(4, "filter");
      filter.setChains(
        profileChains("kns.default", { ingress: [allowAll], egress: [] }, { config, family: 4 }),
      );
      const plan = await filter.apply();
      assert.deepEqual(plan?.write.filter((line) => line.startsWith(":")).sort(), [
        ":cali-pri-kns.default - [0:0]",
        ":cali-pro-kns.default - [0:0]",
      ]);
      fill(filter);
      await filter.apply();
      assert.equal(save(4, "filter"), before);
    });

    test("a pod more is only added, and the chains are those of a fresh start", async () => {
      const filter = tableOf("filter", 4);
      const names = endpoints.map(({ interfaceName }) => interfaceName);
      const withOthers = (...more: readonly string[]) =>
        filter.setChains(dispatchChains([...names, ...more], config));
      withOthers("calia2", "califffff", "cali");
      const plan = await filter.apply();
      const touched = new Set(
        plan?.write.map((line) => line.replace(/^:|^-[AI] /, "").split(" ")[0]),
      );
      assert.ok(touched.has("cali-from-wl-dispatch"));
      assert.deepEqual(
        plan?.write.filter((line) => /^(:cali-(from|to)-wl-dispatch |-[DRFX])/.test(line)),
        [],
      );
      assert.equal(await filter.check(), true);
      const grown = save(4, "filter");
      withOthers();
      await filter.apply();
      withOthers("cali", "califffff", "calia2");
      filter.invalidate();
      await filter.apply();
      assert.equal(save(4, "filter"), grown);
      fill(filter);
      await filter.apply();
    });

    test("a change after our own reads nothing with nft, and what others wrote is never overlooked", async () => {
      const programs: string[] = [];
      const counted: Pick<ExecHelper, "run"> = {
        run: (program, ...rest) => {
          programs.push(program.replace(/.*-/, ""));
          return exec.run(program, ...rest);
        },
      };
      const memory = new TableMemory(kind === "nft" ? openNftGeneration() : undefined);
      const filter = new IptablesTable(
        { table: "filter", family: 4, backend },
        { exec: counted, memory },
      );
      fill(filter);
      assert.equal(await filter.check(), true);
      const change = (name: string) => {
        programs.length = 0;
        const rules = { ingress: [], egress: [{ ...allowAll, annotations: { name } }] };
        filter.setChains(profileChains("kns.default", rules, { config, family: 4 }));
        return memory.round(() => filter.apply());
      };
      const look = kind === "nft" ? [] : ["save"];
      for (const name of ["one", "two"]) {
        await change(name);
        assert.deepEqual(programs, [...look, "restore"]);
        assert.match(save(4, "filter"), new RegExp(`name=${name}`));
      }
      command(4, "-F", "cali-FORWARD");
      await change("three");
      assert.deepEqual(programs, ["save", "restore"]);
      assert.match(save(4, "filter"), /-A cali-FORWARD/);
      fill(filter);
      await memory.round(() => filter.apply());
    });

    test("a failed write changes nothing and stays dirty", async () => {
      const filter = tableOf("filter", 4);
      const before = save(4, "filter");
      const name = "cali-pri-kns.default";
      const match = [{ kind: "ipSet", side: "source", set: "cali40nowhere" }] as const;
      filter.setChains([{ name, rules: [{ match, action: { kind: "return" } }] }]);
      await assert.rejects(filter.apply(), (error) => {
        assert.ok(error instanceof IptablesError);
        assert.match(error.message, /Cannot write IPv4 table filter: .*cali40nowhere/s);
        return error.code === "restore-failed";
      });
      assert.equal(filter.dirty, true);
      assert.equal(save(4, "filter"), before);
      fill(filter);
      await filter.apply();
    });

    test("a flushed chain is noticed and repaired", async (context) => {
      const limitMs = 20_000;
      const abort = new AbortController();
      const errors: unknown[] = [];
      const stale: IptablesTable[] = [];
      const watching = watchTables(
        tables,
        {
          backend,
          onStale: (table) => {
            stale.push(table);
            void table.apply();
          },
          onError: (error) => errors.push(error),
          ...(kind === "legacy" ? { poll: { firstMs: 1000, lastMs: 1000 } } : {}),
        },
        abort.signal,
      );
      let took = 0;
      try {
        await new Promise((resolve) => setTimeout(resolve, 50));
        const before = save(4, "filter");
        command(4, "-F", "cali-FORWARD");
        assert.notEqual(save(4, "filter"), before);
        took = await until(() => save(4, "filter") === before, limitMs);
        const before6 = save(6, "raw");
        command(6, "-t", "raw", "-D", "PREROUTING", "1");
        await until(() => save(6, "raw") === before6, limitMs);
        // Our own repair is heard as well, and must not make another.
        await new Promise((resolve) => setTimeout(resolve, 500));
      } finally {
        abort.abort();
        await watching;
      }
      assert.deepEqual(errors, []);
      assert.deepEqual(
        stale.map(({ table, family }) => `${table} ${family}`),
        ["filter 4", "raw 6"],
      );
      context.diagnostic(`repaired after ${Math.round(took)} ms`);
    });

    test("a comment at the limit and a name at the limit are accepted", async () => {
      const mangle = tableOf("mangle", 4);
      const name = "cali-".padEnd(28, "x");
      mangle.setChains([
        { name, rules: [{ match: [], comments: ["é".repeat(300)], action: { kind: "return" } }] },
      ]);
      mangle.setInsertions("FORWARD", [{ match: [], action: { kind: "jump", chain: name } }]);
      assert.ok(await mangle.apply());
      mangle.invalidate();
      assert.equal(await mangle.apply(), undefined);
    });

    test("without desired state all that is ours goes, and nothing else", async () => {
      for (const { table, family } of tables) {
        await new IptablesTable({ table, family, backend }, { exec }).apply();
      }
      const rest = tables.map(({ table, family }) => save(family, table)).join("\n");
      const rules = rest.split("\n").filter((line) => line.startsWith("-A"));
      assert.deepEqual(rules, [
        "-A FORWARD -s 198.51.100.1/32 -j DROP",
        "-A FORWARD -s 198.51.100.2/32 -j DROP",
        "-A FORWARD -s 2001:db8::1/128 -j cali-held",
      ]);
    });
  });
}
