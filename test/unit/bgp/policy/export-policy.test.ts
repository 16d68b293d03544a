import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ExportConfig,
  type ExportPeer,
  type ExportStep,
  exportRoute,
  exportText,
} from "../../../../src/bgp/policy/export-policy.ts";
import { RouteFilters } from "../../../../src/bgp/policy/filter.ts";
import type { FilterRule } from "../../../../src/bgp/policy/peer-policy.ts";
import type { RouteSource } from "../../../../src/bgp/policy/route-reflection.ts";
import { PrefixList, packPrefixes } from "../../../../src/bgp/rib/packed-prefix.ts";
import { parseAsn } from "../../../../src/lib/asn.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";

const list = (...prefixes: string[]) => new PrefixList(prefixes.map(parsePrefix));

const config: ExportConfig = {
  ownBlocks: list("10.244.1.0/26", "10.9.1.0/26"),
  exportDisabledPools: list("10.9.0.0/16"),
  enabledPools: list("10.244.0.0/16", "10.9.0.0/16"),
  reflectedServices: list("192.0.2.0/24"),
};

const local: RouteSource = { learned: "local", fromClient: false };
const ibgp: RouteSource = { learned: "ibgp", fromClient: false };
const client: RouteSource = { learned: "ibgp", fromClient: true };
const ebgp: RouteSource = { learned: "ebgp", fromClient: false };
const toIbgp: ExportPeer = { external: false, client: false };
const toClient: ExportPeer = { external: false, client: true };
const toEbgp: ExportPeer = { external: true, client: false };
const noExport = 0xffffff01;
const noAdvertise = 0xffffff02;

type Row = readonly [string, RouteSource, ExportPeer, boolean, ExportStep, (readonly number[])?];

const rows: readonly Row[] = [
  ["10.244.1.0/26", local, toIbgp, true, "own-block"],
  ["10.244.1.0/26", local, toEbgp, true, "own-block"],
  ["10.244.1.5/32", local, toIbgp, false, "inside-own-block"],
  ["10.244.1.5/32", ebgp, toIbgp, false, "inside-own-block"],
  ["10.244.0.0/16", local, toIbgp, true, "enabled-pool"],
  ["10.244.2.0/26", ibgp, toIbgp, false, "ibgp-split-horizon"],
  ["10.244.2.0/26", client, toIbgp, true, "enabled-pool"],
  ["10.244.2.0/26", ibgp, toClient, true, "enabled-pool"],
  ["10.244.2.0/26", ibgp, toEbgp, true, "enabled-pool"],
  ["10.244.2.0/26", ebgp, toIbgp, true, "enabled-pool"],
  ["10.9.1.0/26", local, toIbgp, false, "pool-export-disabled"],
  ["192.0.2.0/24", client, toIbgp, true, "reflected-service"],
  ["0.0.0.0/0", ebgp, toIbgp, false, "no-rule"],
  ["10.0.0.0/8", local, toEbgp, false, "no-rule"],
  ["10.244.1.0/26", local, toIbgp, false, "no-advertise", [noAdvertise]],
  ["10.244.1.0/26", local, toEbgp, false, "no-export", [noExport]],
  ["10.244.1.0/26", local, toIbgp, true, "own-block", [noExport]],
];

rows.forEach(([prefix, source, peer, accepted, step, communities = []]) => {
  const to = peer.external ? "eBGP" : peer.client ? "a client" : "iBGP";
  test(`${prefix} (${source.learned}) to ${to}: ${accepted ? "" : "not "}exported, ${step}`, () => {
    const prefixes = packPrefixes([parsePrefix(prefix)], 4);
    const attributes = { origin: 0, asPath: [], communities } as const;
    const learned = source.learned;
    const route = { prefixes, index: 0, source, learned, attributes, localPref: 100 };
    assert.deepEqual(exportRoute(route, peer, config), { accepted, step });
  });
});

const judge = (
  prefix: string,
  peer: ExportPeer,
  source: RouteSource = local,
  asns: number[] = [],
) =>
  exportRoute(
    {
      prefixes: packPrefixes([parsePrefix(prefix)], 4),
      index: 0,
      source,
      learned: source.learned,
      attributes: { origin: 0, asPath: [{ kind: "sequence", asns: asns.map(parseAsn) }] },
      localPref: 100,
    },
    peer,
    config,
  );

test("A peer's filters come after BGP's own rules and before the node's", () => {
  const rules: readonly FilterRule[] = [
    { match: { prefix: parsePrefix("10.244.1.0/26"), operator: "equal" }, action: "reject" },
    { source: "remotePeers", action: "accept" },
  ];
  const filters = new RouteFilters([{ name: "f", rules }], { external: false });
  const text = (...given: Parameters<typeof judge>) => {
    const verdict = judge(...given);
    return `${verdict.accepted ? "accepted" : "rejected"}: ${exportText(verdict)}`;
  };
  const peer = { ...toIbgp, filters };
  assert.equal(text("10.244.1.0/26", peer), "rejected: filter f rule 1");
  assert.equal(text("8.8.8.0/24", peer, ebgp), "accepted: filter f rule 2");
  assert.equal(text("8.8.8.0/24", peer, ibgp), "rejected: export step ibgp-split-horizon");
  assert.equal(text("8.8.8.0/24", peer), "rejected: export step no-rule");
});

test("A peer with scope all is told what the protocol allows", () => {
  const peer = { ...toEbgp, scope: "all" } as const;
  assert.deepEqual(judge("8.8.8.0/24", peer, ebgp), { accepted: true, step: "scope-all" });
  assert.equal(judge("10.244.1.5/32", { ...peer, external: false }, ibgp).accepted, false);
});
